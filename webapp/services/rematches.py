"""Rematches: everybody of an event is searched again, and the photographer is told what that changed.

A rematch is about the people who are searched for when it is requested; whoever joins later, or hands in their first
selfie, is searched anyway and does not count. A request joins a rematch that waits for a worker, and adds the people
who came since. While one runs, a request makes a new one, which takes the other's place when it starts.

A worker starts it: it marks its people and notes each one's mark. The first computation that answers this mark is the
person's outcome, counted in the transaction that stores it. So nothing is counted twice, and a computation that was
under way when the rematch started, with older thresholds perhaps, is not taken for its outcome.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Integer, case, cast, delete, exists, func, insert, literal, or_, select, update

from webapp.clock import utcnow
from webapp.extensions import db
from webapp.models import (
    Event,
    Match,
    Person,
    Rematch,
    RematchPerson,
    RematchTrigger,
    Selfie,
    SelfieStatus,
    User,
)
from webapp.queueing import REMATCH_EVENT, enqueue_after_commit
from webapp.services import audit, marking, search_gate


@dataclass(frozen=True, slots=True)
class Report:
    """What the last rematch of an event came to; all but the moment and the trigger are counts."""

    at: datetime
    """When it started."""
    trigger: RematchTrigger
    people: int
    """Whom it is about, without those who have left the event since."""
    pending: int = 0
    """Those of them who are still to be searched."""
    failed: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """Where an event's rematch stands."""

    report: Report | None
    """The last one that has started; None where there was none yet."""
    requested: bool
    """One waits for a worker."""

    @property
    def running(self) -> bool:
        return self.requested or (self.report is not None and self.report.pending > 0)


def request(event: Event, actor: User, trigger: RematchTrigger = RematchTrigger.REQUESTED) -> int:
    """Ask for new matches of everybody in the event; returns how many people that are."""
    event = marking.lock_event(event.id)
    rematch = _waiting(event)
    if rematch is None:
        rematch = Rematch(event_id=event.id, requested_by_id=actor.id, trigger=trigger)
        db.session.add(rematch)
    elif trigger is RematchTrigger.CHILDREN:
        rematch.trigger = trigger
    db.session.flush()
    mine = RematchPerson.rematch_id == rematch.id
    newcomers = select(literal(rematch.id, Integer), Person.id).where(
        Person.event_id == event.id,
        is_searched(),
        search_gate.lets_person_pass(),
        Person.id.not_in(select(RematchPerson.person_id).where(mine)),
    )
    db.session.execute(insert(RematchPerson).from_select(["rematch_id", "person_id"], newcomers))
    audit.record(actor, "event.rematch", "event", event.public_id)
    enqueue_after_commit(REMATCH_EVENT, event.public_id)
    return db.session.scalar(select(func.count()).select_from(RematchPerson).where(mine)) or 0


def start(event: Event) -> int:
    """Mark the people of the rematch that waits; returns how many they are. The event is locked."""
    rematch = _waiting(event)
    if rematch is None:
        return 0
    mine = RematchPerson.rematch_id == rematch.id
    people = marking.mark(db.session.scalars(select(RematchPerson.person_id).where(mine)))
    db.session.flush()
    ids = select(RematchPerson.person_id).where(mine)
    if rematch.trigger is RematchTrigger.CHILDREN:
        # A photo whose faces a service was just asked about was held against the thresholds of before: by the revision
        # its worker sees that these people have to be searched once more.
        event.templates_revision += 1
        _write(update(Person).where(Person.id.in_(ids)).values(templates_revision=event.templates_revision))
    wanted = select(Person.match_wanted).where(Person.id == RematchPerson.person_id).scalar_subquery()
    _write(update(RematchPerson).where(mine).values(mark=wanted))
    _write(delete(Rematch).where(Rematch.event_id == event.id, Rematch.id != rematch.id))
    rematch.started_at = utcnow()
    return people


def settle(person: Person, answered: int, *, added: int, removed: int, changed: int, kept: int) -> None:
    """A computation of this person's matches is about to be stored, which answers these marks. The person is locked."""
    outcome = {"added": added, "removed": removed, "changed": changed, "kept": kept}
    _write(update(RematchPerson).where(_is_due(person, answered)).values(done_at=utcnow(), **outcome))


def fail(person: Person) -> None:
    """The search for this person gave up. What a later try finds is no outcome of the rematch any more."""
    _write(update(RematchPerson).where(_is_due(person, person.match_wanted)).values(done_at=utcnow(), failed=True))


def leave(person: Person) -> None:
    """The person is not searched for any more, and counts in no rematch."""
    _write(delete(RematchPerson).where(RematchPerson.person_id == person.id))


def of_event(event: Event) -> State:
    """Where the event's rematch stands."""
    return of_events([event])[event.id]


def of_events(events: Iterable[Event]) -> dict[int, State]:
    """The same of many events, by their row ids; two queries, whatever there is."""
    ids = [event.id for event in events]
    rows = db.session.scalars(select(Rematch).where(Rematch.event_id.in_(ids)).order_by(Rematch.id)).all()
    waiting = {row.event_id for row in rows if row.started_at is None}
    last = {row.event_id: row for row in rows if row.started_at is not None}
    reports = _reports(list(last.values())) if last else {}
    return {event_id: State(reports.get(event_id), event_id in waiting) for event_id in ids}


def is_waiting() -> ColumnElement[bool]:
    """That a person's matches wait to be computed."""
    return (Person.match_wanted != Person.match_done) & Person.match_failed.is_(False)


def is_searched() -> ColumnElement[bool]:
    """That a rematch is about a person: they have a selfie to be searched with, or matches that may have to go."""
    accepted = (Selfie.status == SelfieStatus.ACCEPTED) & Selfie.retired_at.is_(None)
    return or_(
        exists().where(Selfie.person_id == Person.id, accepted).correlate(Person),
        exists().where(Match.person_id == Person.id).correlate(Person),
    )


def _waiting(event: Event) -> Rematch | None:
    """The event's rematch that has not started."""
    return db.session.scalar(
        select(Rematch).where(Rematch.event_id == event.id, Rematch.started_at.is_(None)).order_by(Rematch.id).limit(1)
    )


def _is_due(person: Person, answered: int) -> ColumnElement[bool]:
    mine = (RematchPerson.person_id == person.id) & RematchPerson.done_at.is_(None)
    return mine & (RematchPerson.mark <= answered)


def _reports(rematches: list[Rematch]) -> dict[int, Report]:
    """Event's row id → report."""
    summed = (RematchPerson.added, RematchPerson.removed, RematchPerson.changed, RematchPerson.kept)
    counted = (
        select(
            RematchPerson.rematch_id,
            func.count(),
            func.count(case((RematchPerson.done_at.is_(None) & is_waiting(), 1))),
            func.count(case((RematchPerson.failed.is_(True), 1))),
            *(cast(func.sum(column), Integer) for column in summed),
        )
        .join(Person, Person.id == RematchPerson.person_id)
        .where(RematchPerson.rematch_id.in_([rematch.id for rematch in rematches]))
        .group_by(RematchPerson.rematch_id)
    )
    counts = {key: figures for key, *figures in db.session.execute(counted)}
    return {
        rematch.event_id: Report(rematch.started_at, rematch.trigger, *counts.get(rematch.id, [0]))
        for rematch in rematches
        if rematch.started_at is not None
    }


def _write(statement: object) -> None:
    """Carry out a statement on rows that the session does not hold, or reads anew before it needs them."""
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
