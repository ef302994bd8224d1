"""The photographer's photos: pages of them, counts beside the filters, and all that is known of one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import GONE, Band, Camera, Event, Face, Match, Person, Photo, PhotoStatus, User, Verdict
from webapp.services.photos.photo_filter import ON_THEIR_WAY, PhotoFilter, Place, State
from webapp.services.rules.visibility import is_theirs, is_there

PAGE = 60
"""Photos of a page: rows of two to six are all full."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A photo in the grid, and how many guests are on it."""

    photo: Photo
    guests: int

    @property
    def working(self) -> bool:
        """It will change soon by itself."""
        return self.photo.status in ON_THEIR_WAY


@dataclass(frozen=True, slots=True)
class Counts:
    """How many photos there are, and how many in each state."""

    total: int
    by_state: dict[State, int]
    erasing: int
    """Photos that were deleted and are still being erased."""
    replaced: int
    """Photos that were replaced and can be brought back."""

    def of(self, state: State | None) -> int:
        return self.total if state is None else self.by_state[state]


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter, with its label and the number of its photos. Templates read it by attribute."""

    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What else photos can be told apart by."""

    with_faces: int
    without_faces: int
    with_guests: int
    without_guests: int
    uploaders: list[Choice]
    cameras: list[Choice]


@dataclass(frozen=True, slots=True)
class Seen:
    """A guest on a photo: on which of its faces, and how sure that is."""

    name: str
    face_number: int
    band: Band
    verdict: Verdict
    similarity: float


@dataclass(frozen=True, slots=True)
class Details:
    """All that is known of one photo. Faces are in the order of their numbers, which start at 1."""

    photo: Photo
    faces: list[Face]
    seen: list[Seen]
    camera: str | None
    clock_offset: int
    """Seconds that are added to the camera's clock."""
    uploader: str | None
    same_shot: Photo | None
    """The earlier photo of the same shot, where nobody has said yet which one stays."""
    previous: str | None
    next: str | None


def page_of(event: Event, wanted: PhotoFilter, *, after: Place | None = None) -> tuple[list[Tile], Place | None]:
    """One page of the photos that are wanted, and where the next one begins; None when this is the last."""
    asking = wanted.sort(select(Photo).where(wanted.condition(event)), beyond=after)
    photos = db.session.scalars(asking.limit(PAGE + 1)).all()
    return _tiles(event, photos[:PAGE]), Place.of(photos[PAGE - 1]) if len(photos) > PAGE else None


def tiles_of(event: Event, public_ids: list[str]) -> list[Tile]:
    """These photos of the event, in no order; those that are gone are left out."""
    mine = select(Photo).where(Photo.event_id == event.id, is_there())
    return _tiles(event, db.session.scalars(mine.where(Photo.public_id.in_(public_ids))).all())


def fitting(event: Event, wanted: PhotoFilter, public_ids: list[str]) -> set[str]:
    """Those of these photos that the filter lets through."""
    return set(
        db.session.scalars(select(Photo.public_id).where(wanted.condition(event), Photo.public_id.in_(public_ids)))
    )


def count_of(event: Event, wanted: PhotoFilter) -> int:
    """How many photos are wanted."""
    return db.session.scalar(select(func.count()).select_from(Photo).where(wanted.condition(event))) or 0


def counts_of(event: Event) -> Counts:
    """How many photos are in each state: three queries, all answered from indices."""
    counted = (
        select(Photo.status, func.count(), func.count(Photo.published_at), func.count(Photo.hidden_at))
        .where(Photo.event_id == event.id)
        .group_by(Photo.status)
    )
    rows = {status: counts for status, *counts in db.session.execute(counted)}
    erasing, replaced = (rows.pop(status, [0])[0] for status in GONE)
    total = sum(count for count, _, _ in rows.values())

    def some(*statuses: PhotoStatus) -> int:
        return sum(count for status, (count, _, _) in rows.items() if status in statuses)

    by_state = {
        State.READY: some(PhotoStatus.INDEXED),
        State.WORKING: some(*ON_THEIR_WAY),
        State.FAILED: some(PhotoStatus.FAILED),
        State.UNPUBLISHED: total - sum(published for _, published, _ in rows.values()),
        State.HIDDEN: sum(hidden for _, _, hidden in rows.values()),
        State.SHARED: _shared(event),
        State.SAME_SHOT: _same_shot(event),
    }
    return Counts(total, by_state, erasing, replaced)


def _shared(event: Event) -> int:
    """Photos that are shown to all: those of their own index, without those of them that are gone."""
    shared = select(func.count()).select_from(Photo).where(Photo.event_id == event.id, Photo.shown_to_all.is_(True))
    # Every photo has a time: naming it is how SQLite comes to take that index.
    shared = shared.where(Photo.sorted_at > datetime(1, 1, 1, tzinfo=UTC))
    going = shared.where(Photo.status.in_(GONE))
    return db.session.scalar(select(shared.scalar_subquery() - going.scalar_subquery())) or 0


def _same_shot(event: Event) -> int:
    """Photos of shots that were there before. They are few: to go through the event's photos for them takes longer
    than to look which of them are the event's, and the sum keeps the database from doing that.
    """
    undecided = (Photo.same_shot_as_id > 0) & (Photo.event_id + 0 == event.id)
    wanted = select(func.count()).select_from(Photo).where(undecided, is_there())
    return db.session.scalar(wanted) or 0


def facets_of(event: Event) -> Facets:
    """What else the event's photos can be told apart by; reads all of them, so it is asked for only when wanted."""
    there = PhotoFilter().condition(event)
    with_faces, without_faces = func.count().filter(Photo.faces_count > 0), func.count().filter(Photo.faces_count == 0)
    ready = func.count().filter(Photo.status == PhotoStatus.INDEXED)
    # In one go for all that stands in the photos' own rows: there are few uploaders and few cameras.
    rows = db.session.execute(
        select(Photo.uploaded_by_id, Photo.camera_id, func.count(), with_faces, without_faces, ready)
        .where(there)
        .group_by(Photo.uploaded_by_id, Photo.camera_id)
    ).all()
    found = select(Photo.status, func.count()).where(PhotoFilter(guests=True).condition(event)).group_by(Photo.status)
    with_guests = dict(db.session.execute(found).all())
    return Facets(
        with_faces=sum(row[3] for row in rows),
        without_faces=sum(row[4] for row in rows),
        with_guests=sum(with_guests.values()),
        without_guests=sum(row[5] for row in rows) - with_guests.get(PhotoStatus.INDEXED, 0),
        uploaders=_choices(User, rows, 0),
        cameras=_choices(Camera, rows, 1),
    )


def _choices(kind: type[User] | type[Camera], rows: Sequence[Any], column: int) -> list[Choice]:
    """The users or cameras whose keys stand in a column of these rows, by name, each with its photos."""
    counts: Counter[int | None] = Counter()
    for row in rows:
        counts[row[column]] += row[2]
    named = db.session.execute(
        select(kind.id, kind.public_id, kind.name)
        .where(kind.id.in_([key for key in counts if key is not None]))
        .order_by(kind.name, kind.id)
    )
    return [Choice(public_id, name, counts[key]) for key, public_id, name in named]


def details_of(event: Event, public_id: str, wanted: PhotoFilter) -> Details:
    """One photo with its faces and the guests on them, and its neighbours among those that are wanted.

    Raises:
        NotFound: the event has no such photo.
    """
    photo = photo_of(event, public_id)
    camera = db.session.get(Camera, photo.camera_id) if photo.camera_id is not None else None
    uploader = db.session.get(User, photo.uploaded_by_id) if photo.uploaded_by_id is not None else None
    # Later ordinals are places of a former version of the photo, kept only for what somebody said of them.
    present = select(Face).where(Face.photo_id == photo.id, Face.ordinal < (photo.faces_count or 0))
    faces = list(db.session.scalars(present.order_by(Face.ordinal)))
    return Details(
        photo=photo,
        faces=faces,
        seen=_seen(photo, {face.id: number for number, face in enumerate(faces, 1)}),
        camera=camera.name if camera else None,
        clock_offset=camera.offset_seconds if camera else 0,
        uploader=uploader.name if uploader else None,
        same_shot=same_shots(event, [photo]).get(photo.same_shot_as_id or 0),
        previous=_neighbour(event, photo, wanted, backwards=True),
        next=_neighbour(event, photo, wanted, backwards=False),
    )


def photo_of(event: Event, public_id: str) -> Photo:
    """One photo of the event.

    Raises:
        NotFound: the event has no such photo, or it is being erased.
    """
    mine = select(Photo).where(Photo.event_id == event.id, is_there())
    photo = db.session.scalar(mine.where(Photo.public_id == public_id))
    if photo is None:
        raise NotFound(code="photo_unknown")
    return photo


def same_shots(event: Event, photos: list[Photo]) -> dict[int, Photo]:
    """The earlier photos of the same shots, by their row's key."""
    keys = [photo.same_shot_as_id for photo in photos if photo.same_shot_as_id is not None]
    if not keys:
        return {}
    mine = select(Photo).where(Photo.event_id == event.id, is_there(), Photo.id.in_(keys))
    return {photo.id: photo for photo in db.session.scalars(mine)}


def _neighbour(event: Event, photo: Photo, wanted: PhotoFilter, *, backwards: bool) -> str | None:
    asking = select(Photo.public_id).where(wanted.condition(event))
    found: str | None = db.session.scalar(wanted.sort(asking, beyond=Place.of(photo), backwards=backwards).limit(1))
    return found


def _seen(photo: Photo, numbers: dict[int, int]) -> list[Seen]:
    """The guests on a photo, the surest first; what somebody refused is shown as well, since it explains much."""
    rows = db.session.execute(
        select(Match, Person.name)
        .join(Person, Person.id == Match.person_id)
        .where(Match.photo_id == photo.id, (Match.band != Band.NONE) | (Match.verdict != Verdict.NONE))
        .order_by(Match.similarity.desc(), Match.id)
    )
    return [
        Seen(name, numbers.get(match.face_id, 0), match.band, match.verdict, match.similarity) for match, name in rows
    ]


def _tiles(event: Event, photos: Sequence[Photo]) -> list[Tile]:
    found = (
        select(Match.photo_id, func.count(func.distinct(Match.person_id)))
        .where(Match.photo_id.in_([photo.id for photo in photos]), is_theirs(event))
        .group_by(Match.photo_id)
    )
    guests = dict(db.session.execute(found).all())
    return [Tile(photo, guests.get(photo.id, 0)) for photo in photos]
