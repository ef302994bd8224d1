"""What a rematch of an event came to: when it began, how many people it is about, and what it changed.

It is one line of text that is kept with the facts of the installation, by the event's public id: the next rematch takes
its place. Each person's first computation after the mark adds to it, in the transaction that stores the person's
matches, so that nothing is counted twice or left out. How many are still to come is counted from the people themselves.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select

from webapp.clock import utcnow
from webapp.extensions import db
from webapp.models import Event, InstallationFact, Person

_PREFIX = "rematch:"


@dataclass(frozen=True, slots=True)
class Report:
    """The last rematch of an event; all but the moments are counts."""

    began: float
    """When everybody was marked, in seconds since 1970."""
    ended: float
    """When the latest of them was done."""
    people: int
    done: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    """Matches that stayed with another similarity or band."""
    kept: int = 0

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.began, UTC)


@dataclass(frozen=True, slots=True)
class Rematch:
    """Where an event's rematch stands."""

    report: Report | None
    """The last one; None where there was none yet."""
    requested: bool
    """One is asked for and has not begun."""
    pending: int
    """People of the last one who are still to be searched."""

    @property
    def running(self) -> bool:
        return self.requested or self.pending > 0


def begin(event: Event, people: int) -> None:
    """Everybody has just been marked. The event and these people are locked."""
    now = utcnow().timestamp()
    _put(_PREFIX + event.public_id, Report(began=now, ended=now, people=people))


def count(person: Person, *, added: int, removed: int, changed: int, kept: int) -> None:
    """A computation of this person's matches is about to be stored: count it, if it is their first since the mark.

    The person is locked, and nothing is locked after the report.
    """
    wanted = select(InstallationFact).join(Event, InstallationFact.name == _PREFIX + Event.public_id)
    wanted = wanted.where(Event.id == person.event_id)
    fact = db.session.scalar(wanted)
    if fact is None or not _is_due(person, _read(fact)):
        return
    fact = db.session.scalars(
        wanted.with_for_update(of=InstallationFact).execution_options(populate_existing=True)
    ).one()
    so_far = _read(fact)
    if not _is_due(person, so_far):
        return
    summed = Report(
        began=so_far.began,
        ended=utcnow().timestamp(),
        people=so_far.people,
        done=so_far.done + 1,
        added=so_far.added + added,
        removed=so_far.removed + removed,
        changed=so_far.changed + changed,
        kept=so_far.kept + kept,
    )
    fact.value = _text(summed)


def forget(event_key: str) -> None:
    """The event was erased in this transaction. Nothing is locked after the report."""
    db.session.execute(delete(InstallationFact).where(InstallationFact.name == _PREFIX + event_key))


def of_event(event: Event) -> Rematch:
    """Where the event's rematch stands."""
    return of_events([event])[event.id]


def of_events(events: Iterable[Event]) -> dict[int, Rematch]:
    """The same of many events, by their row ids; two queries, whatever there is."""
    events = list(events)
    names = {_PREFIX + event.public_id: event.id for event in events}
    facts = db.session.scalars(select(InstallationFact).where(InstallationFact.name.in_(list(names))))
    reports = {names[fact.name]: _read(fact) for fact in facts}
    pending: dict[int, int] = {}
    if reports:
        not_yet = [
            and_(Person.event_id == key, or_(Person.matched_at.is_(None), Person.matched_at < report.at))
            for key, report in reports.items()
        ]
        rows = db.session.execute(
            select(Person.event_id, func.count()).where(is_waiting(), or_(*not_yet)).group_by(Person.event_id)
        )
        pending = {key: count for key, count in rows}  # noqa: C416 - rows are no pairs for the types
    return {
        event.id: Rematch(reports.get(event.id), event.rematch_requested_at is not None, pending.get(event.id, 0))
        for event in events
    }


def is_waiting() -> ColumnElement[bool]:
    """That a person's matches wait to be computed."""
    return (Person.match_wanted != Person.match_done) & Person.match_failed.is_(False)


def _is_due(person: Person, report: Report) -> bool:
    return person.matched_at is None or person.matched_at < report.at


def _put(name: str, report: Report) -> None:
    db.session.merge(InstallationFact(name=name, value=_text(report)))
    db.session.flush()


def _text(report: Report) -> str:
    return json.dumps(asdict(report), separators=(",", ":"))


def _read(fact: InstallationFact) -> Report:
    return Report(**json.loads(fact.value))
