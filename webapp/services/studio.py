"""What a photographer sees of an event: photos by status, guests and their selfies, and what goes on."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select

from webapp.extensions import db
from webapp.models import (
    Event,
    Match,
    Membership,
    MembershipRole,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieStatus,
    User,
)
from webapp.services.visibility import is_theirs

PAGE = 60


@dataclass(frozen=True, slots=True)
class EventProgress:
    """Counts of an event, all taken from rows."""

    by_status: dict[PhotoStatus, int]
    guests: int
    selfies: dict[SelfieStatus, int]
    """By the newest selfie of each guest."""
    found: int
    """How many times a guest was found on a photo."""
    guests_without: int
    """Guests who are searched for and have no photo yet."""
    rematching: int
    """People whose matches wait to be computed."""
    rematch_requested: bool
    capped: int
    """Guests of whom the face service could not tell all faces."""

    @property
    def total(self) -> int:
        return sum(count for status, count in self.by_status.items() if status is not PhotoStatus.DUPLICATE)

    @property
    def indexed(self) -> int:
        return self.by_status.get(PhotoStatus.INDEXED, 0)

    @property
    def failed(self) -> int:
        return self.by_status.get(PhotoStatus.FAILED, 0)

    @property
    def waiting(self) -> int:
        """Photos that are still on their way."""
        return sum(
            self.by_status.get(status, 0)
            for status in (PhotoStatus.RECEIVING, PhotoStatus.UPLOADED, PhotoStatus.INDEXING)
        )

    @property
    def busy(self) -> bool:
        """Something will change soon by itself."""
        pending = self.selfies.get(SelfieStatus.RECEIVED, 0) + self.selfies.get(SelfieStatus.CHECKING, 0)
        return bool(self.waiting or self.rematching or self.rematch_requested or pending)


@dataclass(frozen=True, slots=True)
class GuestRow:
    """One guest in the studio's list."""

    name: str
    joined_at: datetime
    selfie_id: str | None
    selfie_status: SelfieStatus | None
    selfie_reason: str | None
    photos: int
    capped: bool
    """More faces resemble them than the face service can tell."""
    failure: str | None
    """Why the last computation of their matches gave up."""


def progress_of_event(event: Event) -> EventProgress:
    """The event's counts; a constant number of queries, whatever its size."""
    counted = select(Photo.status, func.count()).where(Photo.event_id == event.id).group_by(Photo.status)
    guests = _count(select(func.count()).select_from(Membership), Membership.event_id == event.id, _attends())
    rematching, capped = db.session.execute(
        select(
            func.count(case((and_(Person.match_wanted != Person.match_done, Person.match_failed.is_(False)), 1))),
            func.count(case((Person.match_capped.is_(True), 1))),
        ).where(Person.event_id == event.id)
    ).one()
    return EventProgress(
        by_status=dict(sorted(db.session.execute(counted).all())),
        guests=guests,
        selfies=_newest_selfies(event),
        found=_found(event),
        guests_without=_without(event),
        rematching=rematching,
        rematch_requested=event.rematch_requested_at is not None,
        capped=capped,
    )


def photos_of(
    event: Event, *, status: PhotoStatus | None = None, limit: int = PAGE, before: int | None = None
) -> list[Photo]:
    """The event's photos, the latest handed in first. `before` is the row id of the last photo of the page before."""
    wanted = select(Photo).where(Photo.event_id == event.id).order_by(Photo.id.desc()).limit(limit)
    if status is not None:
        wanted = wanted.where(Photo.status == status)
    if before is not None:
        wanted = wanted.where(Photo.id < before)
    return list(db.session.scalars(wanted))


def shown(photo: Photo) -> tuple[object, ...]:
    """All of a photo that the list shows, in plain values; the placeholder comes with the status."""
    return (photo.public_id, photo.filename, photo.status, photo.failure_reason, photo.faces_count)


def guests_of(event: Event, *, limit: int = 200) -> list[GuestRow]:
    """The event's guests, the latest first, with what became of their newest selfie."""
    newest = (
        select(func.max(Selfie.id))
        .where(Selfie.person_id == Person.id, Selfie.retired_at.is_(None))
        .correlate(Person)
        .scalar_subquery()
    )
    photos_found = (
        select(func.count(func.distinct(Match.photo_id)))
        .where(Match.person_id == Person.id, is_theirs())
        .correlate(Person)
        .scalar_subquery()
    )
    rows = db.session.execute(
        select(Person, Membership, Selfie, photos_found)
        .join(Membership, Membership.id == Person.membership_id)
        .outerjoin(Selfie, Selfie.id == newest)
        .where(Person.event_id == event.id, _attends())
        .order_by(Person.id.desc())
        .limit(limit)
    ).all()
    return [
        GuestRow(
            name=person.name,
            joined_at=membership.created_at,
            selfie_id=selfie.public_id if selfie else None,
            selfie_status=selfie.status if selfie else None,
            selfie_reason=selfie.reason if selfie else None,
            photos=photos,
            capped=person.match_capped,
            failure=person.match_failure if person.match_failed else None,
        )
        for person, membership, selfie, photos in rows
    ]


def visible_selfie(user: User, public_id: str) -> Selfie | None:
    """A selfie, for its owner, for who runs the event, and for admins."""
    row = db.session.execute(
        select(Selfie, Membership)
        .join(Person, Person.id == Selfie.person_id)
        .join(Membership)
        .where(Selfie.public_id == public_id)
    ).one_or_none()
    if row is None:
        return None
    selfie, membership = row
    if user.is_admin or membership.user_id == user.id:
        return selfie
    runs = db.session.scalar(
        select(Membership.id).where(
            Membership.event_id == membership.event_id,
            Membership.user_id == user.id,
            or_(Membership.role == MembershipRole.OWNER, Membership.role == MembershipRole.TEAM),
        )
    )
    return selfie if runs is not None else None


def _found(event: Event) -> int:
    """How many times a guest was found on a photo."""
    pairs = (
        select(Match.person_id, Match.photo_id)
        .join(Person)
        .where(Person.event_id == event.id, is_theirs())
        .distinct()
        .subquery()
    )
    return _count(select(func.count()).select_from(pairs))


def _without(event: Event) -> int:
    """Guests who are searched for and have no photo yet."""
    searched = exists().where(
        Selfie.person_id == Person.id, Selfie.status == SelfieStatus.ACCEPTED, Selfie.retired_at.is_(None)
    )
    has_photos = exists().where(Match.person_id == Person.id, is_theirs())
    return _count(select(func.count()).select_from(Person), Person.event_id == event.id, searched, ~has_photos)


def _newest_selfies(event: Event) -> dict[SelfieStatus, int]:
    newest = (
        select(func.max(Selfie.id))
        .join(Person)
        .where(Person.event_id == event.id, Selfie.retired_at.is_(None))
        .group_by(Selfie.person_id)
    )
    rows = db.session.execute(select(Selfie.status, func.count()).where(Selfie.id.in_(newest)).group_by(Selfie.status))
    return dict(sorted(rows.all()))


def _attends() -> ColumnElement[bool]:
    return Membership.role == MembershipRole.ATTENDEE


def _count(wanted: Select[int], *conditions: ColumnElement[bool]) -> int:
    return db.session.scalar(wanted.where(*conditions)) or 0
