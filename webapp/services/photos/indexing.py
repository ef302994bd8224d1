"""What a worker does with a photo: renditions, faces, and who is concerned by them."""

from dataclasses import dataclass, replace

from flask import current_app
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import FindMeError, LimitReached, Transient
from webapp.faces.core.protocols import DetectedFace, Frame, Gallery, Keep
from webapp.faces.core.vectors import to_blob
from webapp.models import Event, Photo, PhotoStatus, RemovalKind, Rendition, RenditionKind
from webapp.pictures import imaging
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, claims, deletion_outbox, engines, locks, rematch_requests
from webapp.services.matching import hosted_search, matching
from webapp.services.matching.hosted_search import Concerned
from webapp.services.photos import cameras, photo_faces, renditions
from webapp.services.uploads import inspection

WAITING = (PhotoStatus.UPLOADED, PhotoStatus.INDEXING)


@dataclass(frozen=True, slots=True)
class _Task:
    """What the slow part needs to know, so that it holds no transaction."""

    event_id: int
    event_public_id: str
    photo_public_id: str
    filename: str
    engine: str
    original_key: str
    inspected: bool
    given_up: str | None
    again: bool


@dataclass(frozen=True, slots=True)
class _Work:
    """What the slow part found out."""

    info: imaging.PictureInfo
    placeholder: str
    pixel_hash: str
    renditions: list[Rendition]
    faces: list[DetectedFace]
    concerned: Concerned | None
    """Whom the faces may show, where a service keeps them; vectors of our own are compared in the transaction."""


class _LimitError(Exception):
    """The event may make no more calls; the renditions are made all the same."""

    def __init__(self, work: _Work) -> None:
        self.work = work


def index_photo(public_id: str) -> bool:
    """Make a waiting photo's renditions, find its faces and mark the people concerned. Runs in a worker.

    Returns whether there was anything to do. Whatever happens ends as a status of the photo.
    """
    token = claims.claim(Photo, public_id, Photo.status.in_(WAITING), status=PhotoStatus.INDEXING)
    if token is None:
        return False
    task = _load(public_id)
    if task.given_up:
        _fail(public_id, token, task.given_up)
        return True
    try:
        _index(task, token)
    finally:
        _erase_what_is_left(task)
    return True


def _index(task: _Task, token: str) -> None:
    public_id = task.photo_public_id
    try:
        if not task.inspected and not _inspect(task, token):
            return
        with engines.watching(task.event_public_id, task.engine):
            work = _process(task)
        cameras.complete_candidates(task.event_id, task.event_public_id, work.info, task.filename)
    except _LimitError as error:
        _record_unsearched(task, token, error.work)
    except Transient as error:
        _try_later(public_id, token, error.code)
    except FindMeError as error:
        _fail(public_id, token, error.code)
    except Exception:
        _try_later(public_id, token, "internal")
        raise
    else:
        _record(task, token, work)


def _inspect(task: _Task, token: str) -> bool:
    """Look into a file that came straight to the store; returns whether there is anything left to be done."""
    with blobs.store().open(task.original_key) as stream:
        return inspection.inspect_in_worker(task.photo_public_id, token, stream)


def _erase_what_is_left(task: _Task) -> None:
    """A photo that was erased while it was worked on: what was stored or kept after that belongs to nobody."""
    with reading():
        erased = db.session.scalar(select(Photo.id).where(Photo.public_id == task.photo_public_id)) is None
    if erased:
        event_key, name = task.event_public_id, task.photo_public_id
        with unit_of_work():
            deletion_outbox.remove_blobs_below(event_key, blobs.photo_key(event_key, name, ""))
            deletion_outbox.remove_leftovers(task.engine, event_key, RemovalKind.PHOTO_NAMES, [name])


def _load(public_id: str) -> _Task:
    with reading():
        photo = db.session.scalars(select(Photo).where(Photo.public_id == public_id)).one()
        event = db.session.get_one(Event, photo.event_id)
        original = renditions.of_kind(photo, RenditionKind.ORIGINAL)
        return _Task(
            event_id=event.id,
            event_public_id=event.public_id,
            photo_public_id=photo.public_id,
            filename=photo.filename,
            engine=event.engine,
            original_key=original.blob_key,
            inspected=photo.sha256 is not None,
            given_up=claims.cause_of_failure(photo),
            again=claims.has_died(photo) or photo.retries > 0 or photo.faces_count is not None,
        )


def _process(task: _Task) -> _Work:
    """Decode once for both renditions and faces."""
    settings, engine = current_app.extensions["settings"], engines.of(task.engine)
    with blobs.store().open(task.original_key) as stream:
        decoded = imaging.decode(
            stream, max_megapixels=settings.max_megapixels, min_long_side=engine.analyzer.frame_side
        )
    made = imaging.renditions(decoded.frame)
    place = task.event_public_id, task.photo_public_id
    suffix = _suffix(task)
    work = _Work(
        info=decoded.info,
        placeholder=made.placeholder,
        pixel_hash=made.pixel_hash,
        renditions=[
            renditions.keep(*place, RenditionKind.PREVIEW, made.preview, f"preview{suffix}"),
            renditions.keep(*place, RenditionKind.THUMBNAIL, made.thumbnail, f"thumbnail{suffix}"),
        ],
        faces=[],
        concerned=None,
    )
    try:
        return _find_faces(task, decoded.frame, work)
    except LimitReached as error:
        raise _LimitError(work) from error


def _suffix(task: _Task) -> str:
    """What is put to the names of renditions whose original came in as another photo's: those of the photo's former
    file may be kept under the plain names.
    """
    origin = task.original_key.split("/")[-2]
    return "" if origin == task.photo_public_id else f"-{origin}"


def _find_faces(task: _Task, frame: Frame, work: _Work) -> _Work:
    engine = engines.of(task.engine)
    engines.ready(task.event_id)
    keep = Keep(Gallery(task.event_id, task.event_public_id, "photos"), task.photo_public_id, again=task.again)
    faces = engine.analyzer.photo_faces(frame, keep)
    found = hosted_search.concerned(task.event_id, frame, faces) if engine.index.keeps_faces else None
    return replace(work, faces=faces, concerned=found)


def _record(task: _Task, token: str, work: _Work) -> None:
    """Write the outcome in one transaction, under the event's lock, and mark the people whom the new faces resemble."""
    with reading():
        if db.session.get(Event, task.event_id) is None:
            return
    with unit_of_work():
        event = locks.lock_event(task.event_id)
        photo: Photo | None = claims.held(Photo, task.photo_public_id, token)
        if photo is None:
            # It was deleted or taken over meanwhile: what a service keeps of this try belongs to nobody.
            deletion_outbox.remove_faces(event, RemovalKind.PHOTO_FACES, [face.external_id for face in work.faces])
            return
        # Before anything is changed: what the process remembers of the templates must be what is committed.
        people = _concerned(event, work)
        key = _describe(event, photo, work)
        people |= photo_faces.record(event, photo, work.faces)
        cameras.find_same_shot(photo, key)
        photo.status, photo.failure_reason, photo.indexed_at = PhotoStatus.INDEXED, None, utcnow()
        claims.settle(photo)
        db.session.flush()
        rematch_requests.mark(people)


def _concerned(event: Event, work: _Work) -> set[int]:
    """The people whom the faces that were found may show. The event is locked."""
    if work.concerned is None:
        return set(matching.concerned(event, [to_blob(face.vector) for face in work.faces if face.vector is not None]))
    changed = hosted_search.changed_since(event.id, work.concerned.templates_revision) if work.faces else set()
    return work.concerned.person_ids | changed


def _record_unsearched(task: _Task, token: str, work: _Work) -> None:
    """The event has used up its calls: the photo has its renditions, and waits for its faces until somebody lets it."""
    with reading():
        if db.session.get(Event, task.event_id) is None:
            return
    with unit_of_work():
        event = locks.lock_event(task.event_id)
        photo: Photo | None = claims.held(Photo, task.photo_public_id, token)
        if photo is not None:
            _describe(event, photo, work)
            photo.status, photo.failure_reason = PhotoStatus.FAILED, LimitReached.code
            claims.settle(photo)


def _describe(event: Event, photo: Photo, work: _Work) -> str | None:
    """Write down what the picture is; returns what other exports of its shot have in common with it."""
    renditions.replace_all(event.public_id, photo, work.renditions)
    photo.width, photo.height, photo.placeholder = work.info.width, work.info.height, work.placeholder
    photo.pixel_hash = work.pixel_hash
    return cameras.describe(event, photo, work.info.camera, work.info.taken_at)


def _fail(public_id: str, token: str, reason: str) -> None:
    with unit_of_work():
        photo: Photo | None = claims.held(Photo, public_id, token)
        if photo is not None:
            photo.status, photo.failure_reason = PhotoStatus.FAILED, reason
            claims.settle(photo)


def _try_later(public_id: str, token: str, reason: str) -> None:
    with unit_of_work():
        photo: Photo | None = claims.held(Photo, public_id, token)
        if photo is None:
            return
        photo.status = PhotoStatus.UPLOADED
        if not claims.postpone(photo, reason):
            photo.status, photo.failure_reason = PhotoStatus.FAILED, reason
            claims.settle(photo)
