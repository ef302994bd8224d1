"""What a photographer sees of an event at a glance: what came of its photos and selfies, and how far it is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, case, func, or_, select

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Event,
    Membership,
    MembershipRole,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieStatus,
    User,
)
from webapp.services.core import rematch_requests
from webapp.services.matching import rematches
from webapp.services.queries import guests_without, timeline
from webapp.services.queries.guests_without import Why
from webapp.services.rules import search_gate
from webapp.services.rules.search_gate import attends
from webapp.services.rules.visibility import is_there

LATEST = 12
"""Photos that the overview shows."""

STALLED_SECONDS = 180
"""Without any photo coming in or being done, while some wait: then it is said that nothing moves."""

_ON_THEIR_WAY = (PhotoStatus.RECEIVING, PhotoStatus.UPLOADED, PhotoStatus.INDEXING)


@dataclass(frozen=True, slots=True)
class EventProgress:
    """Counts of an event, all taken from rows."""

    by_status: dict[PhotoStatus, int]
    unpublished: int
    """Photos that are ready and wait for somebody to publish them."""
    guests: int
    selfies: dict[SelfieStatus, int]
    """By the newest selfie of each guest."""
    without: dict[Why, int]
    """Guests who see no photo of themselves, by reason."""
    rematching: int
    """People whose matches wait to be computed."""
    capped: int
    """Guests of whom the face service could not tell all faces."""
    rematch: rematches.State
    minutes_left: int | None
    """Until all photos are looked at, at the present pace; None while that can't be told."""
    stalled: bool
    """Photos wait, and nothing has moved for some minutes."""

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
    def guests_without(self) -> int:
        """Guests who see no photo of themselves."""
        return sum(self.without.values())

    @property
    def waiting(self) -> int:
        """Photos that are still on their way."""
        return sum(self.by_status.get(status, 0) for status in _ON_THEIR_WAY)

    @property
    def checking(self) -> int:
        """Selfies that are still to be judged."""
        return self.selfies.get(SelfieStatus.RECEIVED, 0) + self.selfies.get(SelfieStatus.CHECKING, 0)

    @property
    def busy(self) -> bool:
        """Something will change soon by itself."""
        return bool(self.waiting or self.rematching or self.rematch.requested or self.checking)


def progress_of_event(event: Event) -> EventProgress:
    """The event's counts; a constant number of queries."""
    by_status, unpublished = _photo_counts(event)
    rematching, capped = db.session.execute(
        select(
            func.count(case((rematch_requests.is_waiting() & search_gate.lets_person_pass(), 1))),
            func.count(case((Person.match_capped.is_(True), 1))),
        ).where(Person.event_id == event.id)
    ).one()
    waiting = sum(by_status.get(status, 0) for status in _ON_THEIR_WAY)
    pace = timeline.pace_of(event)
    return EventProgress(
        by_status=by_status,
        unpublished=unpublished,
        guests=_count(select(func.count()).select_from(Membership), Membership.event_id == event.id, attends()),
        selfies=newest_selfies(event),
        without=guests_without.count_by_reason(event),
        rematching=rematching,
        capped=capped,
        rematch=rematches.of_event(event),
        minutes_left=pace.minutes_for(waiting),
        stalled=bool(waiting) and pace.per_second is None and _nothing_moves(event, pace.last),
    )


def photos_of(
    event: Event, *, status: PhotoStatus | None = None, limit: int = LATEST, before: int | None = None
) -> list[Photo]:
    """The event's photos, the latest handed in first. `before` is the row id of the last photo of the page before."""
    there = (Photo.event_id == event.id) & is_there()
    wanted = select(Photo).where(there).order_by(Photo.id.desc()).limit(limit)
    if status is not None:
        wanted = wanted.where(Photo.status == status)
    if before is not None:
        wanted = wanted.where(Photo.id < before)
    return list(db.session.scalars(wanted))


def shown(photo: Photo) -> tuple[object, ...]:
    """All of a photo that the list shows, in plain values; the placeholder comes with the status."""
    return (photo.public_id, photo.filename, photo.status, photo.failure_reason, photo.faces_count, photo.version)


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


def newest_selfies(event: Event) -> dict[SelfieStatus, int]:
    """How many guests have a newest selfie in each state."""
    newest = (
        select(func.max(Selfie.id))
        .join(Person)
        .join(Membership)
        # Whoever runs the event may have a selfie, too, and is no guest.
        # What waits for something else than a worker is counted as that.
        .where(Person.event_id == event.id, attends(), Selfie.retired_at.is_(None), search_gate.is_searched_for())
        .group_by(Selfie.person_id)
    )
    rows = db.session.execute(select(Selfie.status, func.count()).where(Selfie.id.in_(newest)).group_by(Selfie.status))
    return dict(sorted(rows.all()))


def _photo_counts(event: Event) -> tuple[dict[PhotoStatus, int], int]:
    """Photos by status, and how many are ready and not published."""
    counted = (
        select(Photo.status, func.count(), func.count(Photo.published_at))
        .where(Photo.event_id == event.id, is_there())
        .group_by(Photo.status)
    )
    rows = sorted((status, count, published) for status, count, published in db.session.execute(counted))
    ready = [count - published for status, count, published in rows if status is PhotoStatus.INDEXED]
    return {status: count for status, count, _ in rows}, sum(ready)


def _nothing_moves(event: Event, last_done: datetime | None) -> bool:
    """No photo has come in or been done for some minutes."""
    newest = db.session.scalar(
        select(Photo.created_at).where(Photo.event_id == event.id).order_by(Photo.id.desc()).limit(1)
    )
    latest = max(moment for moment in (last_done, newest, event.created_at) if moment is not None)
    return (utcnow() - latest).total_seconds() > STALLED_SECONDS


def _count(wanted: Select[int], *conditions: ColumnElement[bool]) -> int:
    return int(db.session.scalar(wanted.where(*conditions)) or 0)
