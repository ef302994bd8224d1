"""Two exports of one shot: the later one takes the earlier one's place, or both stay.

Where it is replaced, the earlier photo keeps its row, so that links, verdicts and what the photographer set live on. It
takes over the later one's file, which stays where it lies, and is indexed again. What people said about the later one
is carried over face by face, by where the faces are: its picture is the one that will be looked at. What the earlier
one showed is kept for some days (`replaced`).
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, func, or_, select, update

from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid
from webapp.faces.core import boxes
from webapp.faces.core.protocols import Box
from webapp.models import (
    Event,
    Face,
    Match,
    Person,
    Photo,
    PhotoStatus,
    Rendition,
    RenditionKind,
    Upload,
    User,
    Verdict,
)
from webapp.queueing import unit_of_work
from webapp.services.core import audit, locks, rematch_requests
from webapp.services.erasure import photo_erasure
from webapp.services.events import covers
from webapp.services.photos import likeness, photo_faces, renditions, replaced
from webapp.services.photos.photo_filter import PhotoFilter, State
from webapp.services.rules.visibility import is_there
from webapp.services.uploads import intake

SECONDS = 8.0
"""For how long one request replaces photos one after the other; what is left is decided by the next one."""

_SETTLED = (PhotoStatus.INDEXED, PhotoStatus.FAILED)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Decision(StrEnum):
    """What becomes of a photo whose shot was there before."""

    REPLACE = "replace"
    BOTH = "both"

    @classmethod
    def read(cls, word: str) -> "Decision":
        """Raises Invalid for a word that is none of these."""
        if word not in [member.value for member in cls]:
            raise Invalid(code="action_unknown")
        return cls(word)


@dataclass(frozen=True, slots=True)
class Decided:
    """How many photos were decided about, and how many of those that were meant are still to be decided about.

    apart: those that were to replace another one and turned out to be different shots; both stay.
    """

    done: int
    left: int
    apart: int = 0


def decide(photo: Photo, decision: Decision, actor: User) -> Photo:
    """Let a photo take the place of the earlier one of the same shot, or keep both; returns the one that stays.

    Of a pair that turns out to be different shots both stay, whatever was decided, and the later one is returned. Call
    `compare` before, outside the unit of work.

    Raises:
        Conflict: `not_same_shot`: there is nothing to decide; `shot_busy`: a worker has one of the two; `shot_failed`:
            the later one's file can't be used, so that the earlier one must not go for it.
    """
    event = locks.lock_event(photo.event_id)
    earlier, later = _pair(photo.id)
    if decision is Decision.BOTH:
        later.same_shot_as_id = None
        audit.record(actor, "photo.kept", "photo", later.public_id)
        return later
    if earlier.status not in _SETTLED or later.status not in _SETTLED:
        raise Conflict(code="shot_busy")
    if later.status is PhotoStatus.FAILED:
        raise Conflict(code="shot_failed")
    # Pairs of former versions were told by time alone.
    if not likeness.is_same_shot(earlier, later):
        later.same_shot_as_id = None
        return later
    _replace(event, earlier, later, actor)
    return earlier


def compare(event: Event, public_id: str) -> None:
    """Compute what a photo and the earlier one of its shot lack for being compared. Outside a unit of work."""
    mine = (Photo.event_id == event.id) & (Photo.public_id == public_id)
    _compare(mine)


def _compare(later: ColumnElement[bool]) -> None:
    earlier = select(Photo.same_shot_as_id).where(later, Photo.same_shot_as_id.is_not(None)).scalar_subquery()
    pair = select(Photo.id).where(later).union(select(Photo.id).where(Photo.id == earlier))
    likeness.complete(Photo.id.in_(pair))


def meant(event: Event, wanted: PhotoFilter) -> tuple[int, int]:
    """How many photos of a view are to be decided about, and the row's key of the last of them."""
    row = db.session.execute(
        select(func.count(), func.coalesce(func.max(Photo.id), 0)).where(_undecided(event, wanted))
    ).one()
    return row[0], row[1]


def decide_all(event: Event, wanted: PhotoFilter, up_to: int, decision: Decision, actor: User) -> Decided:
    """Decide the same about all photos of a view, up to a row's key. Each is replaced in a unit of work of its own.

    Photos that a worker has, and those that one request has no time for, are left for another time.
    """
    condition = _undecided(event, wanted) & (Photo.id <= up_to)
    if decision is Decision.BOTH:
        return _keep_all(event, condition, actor)
    ids = db.session.scalars(select(Photo.id).where(condition).order_by(Photo.id)).all()
    # Read now: each unit of work begins with fresh rows.
    actor_id, done, apart, deadline = actor.id, 0, 0, time.monotonic() + SECONDS
    for row_id in ids:
        stays = _replace_one(row_id, actor_id)
        done, apart = done + (stays is not None and stays != row_id), apart + (stays == row_id)
        if time.monotonic() > deadline:
            break
    return Decided(done, len(ids) - done - apart, apart)


def _replace_one(row_id: int, actor_id: int) -> int | None:
    """Row's key of the photo that stays; None where nothing could be decided now."""
    _compare(Photo.id == row_id)
    with unit_of_work():
        photo, actor = db.session.get(Photo, row_id), db.session.get(User, actor_id)
        if photo is None or actor is None:
            return None
        try:
            return decide(photo, Decision.REPLACE, actor).id
        except Conflict:
            return None


def _keep_all(event: Event, condition: ColumnElement[bool], actor: User) -> Decided:
    with unit_of_work():
        locked = locks.lock_event(event.id)
        ids = db.session.scalars(
            update(Photo)
            .where(condition)
            .values(same_shot_as_id=None)
            .returning(Photo.id)
            .execution_options(synchronize_session=False)
        ).all()
        if ids:
            audit.record(actor, "photos.kept", "event", locked.public_id)
    return Decided(len(ids), 0)


def _undecided(event: Event, wanted: PhotoFilter) -> ColumnElement[bool]:
    return wanted.condition(event) & PhotoFilter(State.SAME_SHOT).condition(event)


def _pair(photo_id: int) -> tuple[Photo, Photo]:
    """The earlier and the later photo, both locked. The event is locked."""
    other = select(Photo.same_shot_as_id).where(Photo.id == photo_id).scalar_subquery()
    rows = db.session.scalars(
        select(Photo)
        .where(or_(Photo.id == photo_id, Photo.id == other), is_there())
        .order_by(Photo.id)
        .with_for_update(of=Photo)
        .execution_options(populate_existing=True)
    )
    found = {row.id: row for row in rows}
    later = found.get(photo_id)
    earlier = found.get(later.same_shot_as_id or 0) if later is not None else None
    if later is None or earlier is None:
        raise Conflict(code="not_same_shot")
    return earlier, later


def _replace(event: Event, earlier: Photo, later: Photo, actor: User) -> None:
    people = _lock_people(earlier, later)
    covers.forget_photos(event, {earlier.public_id})
    replaced.keep(earlier)
    _carry_verdicts(earlier, later)
    _point_to(earlier, later)
    new = renditions.of_kind(later, RenditionKind.ORIGINAL)
    # A row of its own: the later photo's goes with that one.
    original = Rendition(
        kind=RenditionKind.ORIGINAL,
        blob_key=new.blob_key,
        content_type=new.content_type,
        width=new.width,
        height=new.height,
        byte_size=new.byte_size,
    )
    digest, size, filename, pixel_hash = later.sha256, later.byte_size, later.filename, later.pixel_hash
    photo_erasure.erase_photos(event.id, [later], actor)
    earlier.renditions.append(original)
    earlier.sha256, earlier.byte_size, earlier.filename, earlier.pixel_hash = digest, size, filename, pixel_hash
    intake.wait_again(earlier)
    for person in people:
        rematch_requests.templates_changed(event, person)
        person.match_revision += 1
    db.session.flush()
    rematch_requests.mark([person.id for person in people])
    audit.record(actor, "photo.replaced", "photo", earlier.public_id)


def _lock_people(earlier: Photo, later: Photo) -> list[Person]:
    """Everybody who was found on one of the two, locked before their matches are touched."""
    found = select(Match.person_id).where(Match.photo_id.in_([earlier.id, later.id]))
    return list(db.session.scalars(select(Person).where(Person.id.in_(found)).order_by(Person.id).with_for_update()))


def _point_to(earlier: Photo, later: Photo) -> None:
    """What names the later photo names the earlier one from now on."""
    for column in (Photo.duplicate_of_id, Photo.same_shot_as_id, Photo.replaced_by_id, Upload.photo_id):
        db.session.execute(
            update(column.class_)
            .where(column == later.id)
            .values({column.key: earlier.id})
            .execution_options(synchronize_session=False)
        )


def _carry_verdicts(earlier: Photo, later: Photo) -> None:
    """Give what people said about the later photo to the face of the earlier one that lies in the same place.

    Where none does, the earlier one gets the place, and indexing finds the face there again.
    """
    said = list(
        db.session.scalars(
            select(Match).where(Match.photo_id == later.id, Match.verdict != Verdict.NONE).order_by(Match.id)
        )
    )
    if not said:
        return
    there, new = _faces(earlier), _faces(later)
    present = [face for face in new if face.ordinal < (later.faces_count or 0)]
    pairs = boxes.pairs([_box(face) for face in there], [_box(face) for face in present])
    places = {present[after].id: there[before] for before, after in pairs.items()}
    ordinal = max((face.ordinal for face in there), default=-1)
    for face in new:
        if face.id in {match.face_id for match in said} - places.keys():
            ordinal += 1
            places[face.id] = photo_faces.copy_place(face, earlier, ordinal)
    for match in said:
        _say(match, places[match.face_id])
    db.session.flush()


def _say(match: Match, face: Face) -> None:
    """The later word counts, where the person has said something about both."""
    known = db.session.scalar(select(Match).where(Match.face_id == face.id, Match.person_id == match.person_id))
    if known is None:
        match.face_id, match.photo_id = face.id, face.photo_id
    elif (known.decided_at or _NEVER) <= (match.decided_at or _NEVER):
        known.verdict, known.decided_at = match.verdict, match.decided_at


def _faces(photo: Photo) -> list[Face]:
    return list(db.session.scalars(select(Face).where(Face.photo_id == photo.id).order_by(Face.ordinal)))


def _box(face: Face) -> Box:
    return Box(face.box_x, face.box_y, face.box_width, face.box_height)
