"""Taking photos in: checked, hashed, stored, and a row that waits. Nothing is decoded here."""

import hashlib
import io
from dataclasses import dataclass
from typing import IO

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from webapp import imaging
from webapp.clock import utcnow
from webapp.columns import new_public_id
from webapp.database import reading
from webapp.errors import Invalid, NotFound, TooLarge, Transient, UnsupportedType
from webapp.extensions import db
from webapp.models import Event, Photo, PhotoStatus, Rendition, RenditionKind, User
from webapp.queueing import INDEX_PHOTO, enqueue_after_commit, unit_of_work
from webapp.services import alarms, blobs, claims, events

MAX_FILENAME = 200


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What became of one file: accepted, duplicate (then of which photo) or rejected (then why)."""

    filename: str
    photo_id: str | None
    status: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Inspected:
    """What a file is by its content, its SHA-256 and its size in bytes."""

    info: imaging.PictureInfo
    digest: str
    size: int


def receive_photo(event: Event, user: User, filename: str, stream: IO[bytes]) -> UploadResult:
    """Take one file in, in a unit of work of its own. A file that can't be used is a result with its reason.

    Raises:
        Conflict: the event is closed.
        Transient: it can't be stored now; nothing was kept, send it again.
    """
    events.require_open(event)
    event_id, event_key, user_id = event.id, event.public_id, user.id
    # No transaction is held while the bytes are read and written.
    db.session.rollback()
    filename = displayable(filename)
    try:
        file = _inspect(stream)
    except (UnsupportedType, Invalid, TooLarge) as error:
        return UploadResult(filename, None, "rejected", error.code)
    with reading():
        known = _same_bytes(event_id, file.digest)
        kept_key = _original_key(known) if known is not None else None
    with alarms.guard("storage_rights"):
        if kept_key is not None:
            return _take_again(event_id, file.digest, filename, kept_key, stream)
        return _take(event_id, event_key, user_id, filename, stream, file)


def _take(
    event_id: int, event_key: str, user_id: int, filename: str, stream: IO[bytes], file: _Inspected
) -> UploadResult:
    photo_id = new_public_id()
    kind = blobs.content_type(file.info.format)
    key = blobs.photo_key(event_key, photo_id, f"original{blobs.extension(kind)}")
    original = Rendition(kind=RenditionKind.ORIGINAL, blob_key=key, content_type=kind, byte_size=file.size)
    photo = Photo(
        public_id=photo_id,
        event_id=event_id,
        uploaded_by_id=user_id,
        filename=filename,
        sha256=file.digest,
        byte_size=file.size,
        published_at=utcnow(),
        renditions=[original],
    )
    blobs.store().put(key, stream)
    try:
        return _register(photo, key)
    except Exception:
        blobs.store().delete(key)
        raise


def _register(photo: Photo, key: str) -> UploadResult:
    """Make the photo's row, unless its bytes are in the event already: the unique constraint decides, also for two that
    come at once.
    """
    filename, event_id, digest = photo.filename, photo.event_id, photo.sha256 or ""
    with unit_of_work():
        try:
            with db.session.begin_nested():
                db.session.add(photo)
            enqueue_after_commit(INDEX_PHOTO, photo.public_id)
            return UploadResult(filename, photo.public_id, "accepted")
        except IntegrityError:
            result = _known(event_id, digest, filename)
    blobs.store().delete(key)
    return result


def _take_again(event_id: int, digest: str, filename: str, key: str, stream: IO[bytes]) -> UploadResult:
    """The same bytes were there before; where they have been lost since, they are kept again."""
    try:
        blobs.store().info(key)
    except NotFound:
        blobs.store().put(key, stream)
    with unit_of_work():
        return _known(event_id, digest, filename)


def _known(event_id: int, digest: str, filename: str) -> UploadResult:
    """A photo whose bytes are there already; handing in a failed one once more is a wish to try it again."""
    known = _same_bytes(event_id, digest)
    if known is None:
        raise Transient(code="storage_away")
    if known.status is PhotoStatus.FAILED:
        _wait_again(known)
        return UploadResult(filename, known.public_id, "accepted")
    return UploadResult(filename, known.public_id, "duplicate")


def retry_failed(event: Event, photo_public_id: str | None = None, *, reason: str | None = None) -> int:
    """Let failed photos be tried again (or one, or those that failed for one reason); returns how many."""
    wanted = select(Photo).where(Photo.event_id == event.id, Photo.status == PhotoStatus.FAILED)
    if photo_public_id is not None:
        wanted = wanted.where(Photo.public_id == photo_public_id)
    if reason is not None:
        wanted = wanted.where(Photo.failure_reason == reason)
    photos = db.session.scalars(wanted).all()
    for photo in photos:
        _wait_again(photo)
    return len(photos)


def displayable(filename: str) -> str:
    """A file's name as it may be shown: its last part, printable, not endless. It is never used as a path."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:MAX_FILENAME].strip() or "photo"


def _inspect(stream: IO[bytes]) -> _Inspected:
    """What the file is by its content; the stream is at its start again afterwards."""
    settings = current_app.extensions["settings"]
    size = stream.seek(0, io.SEEK_END)
    if size > settings.max_photo_mb * 1024 * 1024:
        raise TooLarge(code="photo_too_large")
    stream.seek(0)
    info = imaging.probe(stream, max_megapixels=settings.max_megapixels)
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    stream.seek(0)
    return _Inspected(info, digest, size)


def _same_bytes(event_id: int, digest: str) -> Photo | None:
    return db.session.scalar(select(Photo).where(Photo.event_id == event_id, Photo.sha256 == digest))


def _original_key(photo: Photo) -> str:
    return next(row.blob_key for row in photo.renditions if row.kind is RenditionKind.ORIGINAL)


def _wait_again(photo: Photo) -> None:
    photo.status, photo.failure_reason = PhotoStatus.UPLOADED, None
    claims.settle(photo)
    photo.retries = 1  # The try that failed may have left faces at a service: the next one looks for them.
    enqueue_after_commit(INDEX_PHOTO, photo.public_id)
