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

from sqlalchemy import ColumnElement, Integer, case, cast, delete, func, select, update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Event,
    Person,
    Rematch,
    RematchPerson,
    RematchTrigger,
)
from webapp.services.core import rematch_requests
from webapp.services.core.rematch_requests import is_waiting, waiting_rematch, write_unsynced


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


def start(event: Event) -> int:
    """Mark the people of the rematch that waits; returns how many they are. The event is locked."""
    rematch = waiting_rematch(event)
    if rematch is None:
        return 0
    mine = RematchPerson.rematch_id == rematch.id
    people = rematch_requests.mark(db.session.scalars(select(RematchPerson.person_id).where(mine)))
    db.session.flush()
    ids = select(RematchPerson.person_id).where(mine)
    if rematch.trigger is RematchTrigger.CHILDREN:
        # A photo whose faces a service was just asked about was held against the thresholds of before: by the revision
        # its worker sees that these people have to be searched once more.
        event.templates_revision += 1
        write_unsynced(update(Person).where(Person.id.in_(ids)).values(templates_revision=event.templates_revision))
    wanted = select(Person.match_wanted).where(Person.id == RematchPerson.person_id).scalar_subquery()
    write_unsynced(update(RematchPerson).where(mine).values(mark=wanted))
    write_unsynced(delete(Rematch).where(Rematch.event_id == event.id, Rematch.id != rematch.id))
    rematch.started_at = utcnow()
    return people


def settle(person: Person, answered: int, *, added: int, removed: int, changed: int, kept: int) -> None:
    """A computation of this person's matches is about to be stored, which answers these marks. The person is locked."""
    outcome = {"added": added, "removed": removed, "changed": changed, "kept": kept}
    write_unsynced(update(RematchPerson).where(_is_due(person, answered)).values(done_at=utcnow(), **outcome))


def fail(person: Person) -> None:
    """The search for this person gave up. What a later try finds is no outcome of the rematch any more."""
    write_unsynced(
        update(RematchPerson).where(_is_due(person, person.match_wanted)).values(done_at=utcnow(), failed=True)
    )


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
