"""Photos whose place another export took: kept for some days, listed for the photographer, and brought back on demand.

The photo that stays keeps its row. What it showed before becomes a row of its own, without vectors and matches, so that
no search finds it; what people said about its faces is kept beside. Brought back, it is indexed like a new photo.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.exc import IntegrityError

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import Conflict
from webapp.models import Event, Face, KeptVerdict, Match, Person, Photo, PhotoStatus, RenditionKind, User, Verdict
from webapp.queueing import unit_of_work
from webapp.services.core import audit, locks, rematch_requests
from webapp.services.erasure import bulk
from webapp.services.photos import photo_faces
from webapp.services.uploads import intake

KEPT = timedelta(days=7)
"""For how long a replaced photo can be brought back."""

PAGE = 60

_MOVED = (RenditionKind.ORIGINAL, RenditionKind.PREVIEW, RenditionKind.THUMBNAIL)
_COPIED = (
    *("event_id", "uploaded_by_id", "filename", "byte_size", "width", "height", "placeholder", "pixel_hash"),
    *("camera_id", "camera_time", "taken_at", "sorted_at", "shot_key", "published_at", "hidden_at", "shown_to_all"),
    "created_at",
)


def keep(photo: Photo) -> Photo:
    """Move what a photo shows now into a replaced photo of its own, which is returned; the event is locked.

    The photo is left without an original: give it the other export's next.
    """
    former = Photo(
        **{name: getattr(photo, name) for name in _COPIED},
        status=PhotoStatus.REPLACED,
        replaced_at=utcnow(),
        replaced_by_id=photo.id,
        replaced_sha256=photo.sha256,
    )
    db.session.add(former)
    # Not flushed in between: a picture without a photo would be deleted.
    with db.session.no_autoflush:
        for row in [row for row in photo.renditions if row.kind in _MOVED]:
            row.photo = former
    db.session.flush()
    _keep_verdicts(photo, former)
    return former


def erased_at(photo: Photo) -> datetime:
    """Moment from which a replaced photo is erased."""
    return (photo.replaced_at or utcnow()) + KEPT


def page_of(event: Event, before: int | None = None) -> list[Photo]:
    """One page of the event's replaced photos, the last replaced first. before: the `id` of the last one shown."""
    wanted = select(Photo).where(Photo.event_id == event.id, Photo.status == PhotoStatus.REPLACED)
    if before is not None:
        wanted = wanted.where(Photo.id < before)
    return list(db.session.scalars(wanted.order_by(Photo.id.desc()).limit(PAGE + 1)))


def bring_back(event: Event, public_id: str, actor: User) -> Photo:
    """Make a replaced photo a photo again, beside the one that took its place.

    Raises:
        Conflict: `not_replaced`: it is back already, or erased; `replaced_there`: its file came in again meanwhile.
    """
    event = locks.lock_event(event.id)
    photo = db.session.scalar(
        select(Photo)
        .where(Photo.event_id == event.id, Photo.public_id == public_id, Photo.status == PhotoStatus.REPLACED)
        .with_for_update(of=Photo)
        .execution_options(populate_existing=True)
    )
    if photo is None:
        raise Conflict(code="not_replaced")
    try:
        with db.session.begin_nested():
            photo.sha256 = photo.replaced_sha256
    except IntegrityError as error:
        raise Conflict(code="replaced_there") from error
    people = _restore_verdicts(photo)
    _follow(photo)
    photo.replaced_at = photo.replaced_by_id = photo.replaced_sha256 = None
    intake.wait_again(photo)
    for person in people:
        rematch_requests.templates_changed(event, person)
        person.match_revision += 1
    db.session.flush()
    rematch_requests.mark([person.id for person in people])
    audit.record(actor, "photo.brought_back", "photo", photo.public_id)
    return photo


def _follow(photo: Photo) -> None:
    """Show a photo to no more people than the one that took its place: whatever was done to that one since holds."""
    stays = db.session.get(Photo, photo.replaced_by_id) if photo.replaced_by_id is not None else None
    if stays is not None:
        photo.published_at = photo.published_at if stays.published_at is not None else None
        photo.hidden_at = photo.hidden_at or stays.hidden_at
        photo.shown_to_all = photo.shown_to_all and stays.shown_to_all


def erase_old() -> int:
    """Erase what was replaced longer than KEPT ago, as if it was deleted now; returns how many photos."""
    over = (Photo.status == PhotoStatus.REPLACED) & (Photo.replaced_at < utcnow() - KEPT)
    with reading():
        ids = db.session.scalars(select(Photo.event_id).where(over).distinct()).all()
    count = 0
    for event_id in ids:
        with unit_of_work():
            event = db.session.get(Event, event_id)
            count += len(bulk.erase(event, over, None)) if event is not None else 0
    return count


def _keep_verdicts(photo: Photo, former: Photo) -> None:
    said = db.session.execute(
        select(Match, Face)
        .join(Face, Face.id == Match.face_id)
        .where(Match.photo_id == photo.id, Match.verdict != Verdict.NONE)
        .order_by(Face.ordinal, Match.id)
    ).all()
    places: dict[int, Face] = {}
    for match, face in said:
        if face.id not in places:
            places[face.id] = photo_faces.copy_place(face, former, len(places))
        db.session.add(
            KeptVerdict(
                face_id=places[face.id].id,
                person_id=match.person_id,
                similarity=match.similarity,
                band=match.band,
                verdict=match.verdict,
                decided_at=match.decided_at,
            )
        )
    db.session.flush()


def _restore_verdicts(photo: Photo) -> list[Person]:
    """Make kept verdicts matches again, and take them from the photo that they were carried to.

    Who brings a photo back says that they are different pictures: nothing that was said of one counts for another.
    Returns the people whose matches change, locked.
    """
    kept = db.session.scalars(select(KeptVerdict).join(Face).where(Face.photo_id == photo.id)).all()
    ids = [row.person_id for row in kept]
    people = list(db.session.scalars(select(Person).where(Person.id.in_(ids)).order_by(Person.id).with_for_update()))
    for row in kept:
        _take_back(photo, row)
        db.session.add(
            Match(
                face_id=row.face_id,
                person_id=row.person_id,
                photo_id=photo.id,
                similarity=row.similarity,
                band=row.band,
                verdict=row.verdict,
                decided_at=row.decided_at,
            )
        )
        db.session.delete(row)
    return people


def _take_back(photo: Photo, said: KeptVerdict) -> None:
    """Take a verdict from the photos that it was carried to: the one that stays, and those that were replaced later."""
    later = select(Photo.id).where(
        Photo.event_id == photo.event_id, or_(Photo.id == photo.replaced_by_id, Photo.id > photo.id)
    )
    db.session.execute(
        delete(Match)
        .where(
            Match.photo_id.in_(later),
            Match.person_id == said.person_id,
            Match.verdict == said.verdict,
            Match.decided_at == said.decided_at,
        )
        .execution_options(synchronize_session=False)
    )
    copies = db.session.scalars(
        select(KeptVerdict)
        .join(Face, Face.id == KeptVerdict.face_id)
        .where(
            Face.photo_id.in_(later),
            KeptVerdict.person_id == said.person_id,
            KeptVerdict.verdict == said.verdict,
            KeptVerdict.decided_at == said.decided_at,
        )
    ).all()
    for copy in copies:
        db.session.delete(copy)
