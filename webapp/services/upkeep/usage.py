"""What face search costs: the billable calls of each event, estimated in dollars, and their limits.

`usage_meter` counts the calls.
"""

import re
from dataclasses import dataclass
from datetime import date

from flask import current_app
from sqlalchemy import func, select

from webapp.db.extensions import db
from webapp.errors import Forbidden, Invalid
from webapp.models import (
    EngineUsage,
    Event,
    Membership,
    MembershipRole,
    Person,
    Selfie,
    SelfieStatus,
    User,
)
from webapp.queueing import MATCH_SELFIE, enqueue_after_commit
from webapp.services.core import audit, claims, locks, rematch_requests
from webapp.services.core.usage_meter import LIMIT_REACHED, effective_limit
from webapp.services.joining import enrolment
from webapp.services.uploads import intake

BILLED_ENGINES = frozenset({"rekognition"})
MAX_LIMIT = 1_000_000_000
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Costs:
    """What an event has cost so far, and what it may."""

    calls: dict[str, int]
    """Billable calls by operation, the most frequent first."""
    total: int
    dollars: float
    """By list price; an estimate, without what a service asks for keeping faces."""
    limit: int | None
    """Calls that the event may make; None: as many as it takes."""

    @property
    def left(self) -> int | None:
        """Calls until the limit; None without one."""
        return None if self.limit is None else max(0, self.limit - self.total)

    @property
    def reached(self) -> bool:
        """No further call is made."""
        return self.left == 0


@dataclass(frozen=True, slots=True)
class EventCosts:
    """One event on the admins' bill; `event` is None when it has been deleted since."""

    event_key: str
    event: Event | None
    costs: Costs


@dataclass(frozen=True, slots=True)
class MonthCosts:
    """All events in one month, which is named by its first day (UTC)."""

    month: date
    calls: int
    dollars: float


@dataclass(frozen=True, slots=True)
class AllCosts:
    """The whole installation's bill."""

    events: list[EventCosts]
    """Those that have cost or may cost something, the dearest first."""
    months: list[MonthCosts]
    """The latest first."""
    total: int
    dollars: float


def is_billed(event: Event) -> bool:
    """Whether searching this event costs anything."""
    return event.engine in BILLED_ENGINES


def of_event(event: Event) -> Costs:
    """What the event has cost so far; one query."""
    return _costs(_calls_by_event(event.public_id).get(event.public_id, {}), event)


def of_all() -> AllCosts:
    """What all events have cost, also those that are gone, by event and by month; three queries, whatever there is."""
    by_event = _calls_by_event()
    events = {
        event.public_id: event
        for event in db.session.scalars(
            select(Event).where(Event.engine.in_(BILLED_ENGINES) | Event.public_id.in_(list(by_event)))
        )
    }
    rows = [
        EventCosts(key, events.get(key), _costs(by_event.get(key, {}), events.get(key))) for key in {*by_event, *events}
    ]
    rows.sort(key=lambda row: (-row.costs.total, row.event_key))
    total = sum(row.costs.total for row in rows)
    return AllCosts(rows, _months(), total, _dollars(total))


def require_may_limit(event: Event, user: User) -> None:
    """Raises Forbidden to whoever may not change the event's limit: that is for its owner, who pays, and for admins."""
    membership: Membership | None = enrolment.membership_of(event, user)
    if not user.is_admin and (membership is None or membership.role is not MembershipRole.OWNER):
        raise Forbidden(code="forbidden")


def read_limit(typed: str) -> int | None:
    """A limit as somebody typed it: a whole number, or nothing for the installation's. Spaces don't matter.

    Raises:
        Invalid: it is no such number.
    """
    digits = "".join(typed.split())
    if not digits:
        return None
    if not _NUMBER.fullmatch(digits):
        raise _no_limit()
    return int(digits)


def set_limit(event: Event, limit: int | None, actor: User) -> int:
    """Say how many calls the event may make: 0 is without limit, None is the installation's limit.

    What an earlier limit stopped goes on, unless this one stops it as well. Returns how many photos, selfies and people
    that are.

    Raises:
        Forbidden: the actor neither owns the event nor is an admin.
        Invalid: no such limit.
    """
    require_may_limit(event, actor)
    if limit is not None and not 0 <= limit <= MAX_LIMIT:
        raise _no_limit()
    event = locks.lock_event(event.id)
    if event.call_limit != limit:
        event.call_limit = limit
        audit.record(actor, "event.call_limit", "event", event.public_id)
    return 0 if of_event(event).reached else resume(event)


def resume(event: Event) -> int:
    """Let everything that the limit stopped wait for its turn again; returns how many rows. The event is locked."""
    photos = intake.retry_failed(event, reason=LIMIT_REACHED)
    selfies = db.session.scalars(
        select(Selfie)
        .join(Person)
        .where(
            Person.event_id == event.id,
            Selfie.status == SelfieStatus.FAILED,
            Selfie.reason == LIMIT_REACHED,
            Selfie.retired_at.is_(None),
        )
        .order_by(Selfie.id)
        .with_for_update(of=Selfie)
    ).all()
    for selfie in selfies:
        selfie.status, selfie.reason, selfie.decided_at = SelfieStatus.RECEIVED, None, None
        claims.settle(selfie)
        selfie.retries = 1  # An earlier try may have left its face at the service: the next one looks for it.
        enqueue_after_commit(MATCH_SELFIE, selfie.public_id)
    db.session.flush()
    people = db.session.scalars(
        select(Person.id).where(
            Person.event_id == event.id, Person.match_failed.is_(True), Person.match_failure == LIMIT_REACHED
        )
    ).all()
    return photos + len(selfies) + rematch_requests.mark(people)


def _no_limit() -> Invalid:
    return Invalid(code="call_limit_invalid", fields={"limit": "call_limit_invalid"})


def _costs(calls: dict[str, int], event: Event | None) -> Costs:
    total = sum(calls.values())
    limit = effective_limit(event.call_limit, current_app.extensions["settings"]) if event is not None else None
    return Costs(dict(sorted(calls.items(), key=lambda one: (-one[1], one[0]))), total, _dollars(total), limit)


def _dollars(calls: int) -> float:
    price: float = current_app.extensions["settings"].rekognition_price_per_1000
    return round(calls / 1000 * price, 6)


def _calls_by_event(event_key: str | None = None) -> dict[str, dict[str, int]]:
    """Event → operation → calls, of one event or of all."""
    wanted = select(EngineUsage.event_public_id, EngineUsage.operation, func.sum(EngineUsage.calls)).group_by(
        EngineUsage.event_public_id, EngineUsage.operation
    )
    if event_key is not None:
        wanted = wanted.where(EngineUsage.event_public_id == event_key)
    found: dict[str, dict[str, int]] = {}
    for key, operation, calls in db.session.execute(wanted):
        found.setdefault(key, {})[operation] = int(calls)
    return found


def _months() -> list[MonthCosts]:
    """Added up here: the databases have no common word for a date's month, and there is one row a day."""
    days = db.session.execute(select(EngineUsage.day, func.sum(EngineUsage.calls)).group_by(EngineUsage.day))
    months: dict[date, int] = {}
    for day, calls in days:
        month = day.replace(day=1)
        months[month] = months.get(month, 0) + int(calls)
    return [MonthCosts(month, calls, _dollars(calls)) for month, calls in sorted(months.items(), reverse=True)]
