"""Requests for new matches: of some people, who are marked, or of all people of an event, which is a rematch.

What a rematch came to is counted in `rematches`. Who is marked is found by a job of their own.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Integer, String, cast, delete, exists, func, insert, literal, or_, select

from webapp.db.extensions import db
from webapp.models import Event, Match, Person, Rematch, RematchPerson, RematchTrigger, Selfie, SelfieStatus, User
from webapp.queueing import MATCH_PERSON, REMATCH_EVENT, enqueue_after_commit
from webapp.services.core import audit, locks
from webapp.services.rules import search_gate


def mark(person_ids: Iterable[int], *, enqueue: bool = True) -> int:
    """Ask for new matches of these people; returns how many they are.

    Somebody who waits already has a job, which will see this mark too: a flood of photos makes one job a person.
    """
    people = db.session.scalars(
        select(Person)
        .where(Person.id.in_(list(person_ids)))
        .order_by(Person.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for person in people:
        waits_already = person.match_wanted != person.match_done and not person.match_failed
        person.match_wanted += 1
        person.match_failed, person.match_failure = False, None
        person.retries = 0
        person.retry_at = None
        if enqueue and not waits_already:
            enqueue_after_commit(MATCH_PERSON, job_key(person))
    return len(people)


def templates_changed(event: Event, person: Person) -> None:
    """The person is searched with something else from now on. The event is locked."""
    event.templates_revision += 1
    person.templates_revision = event.templates_revision


def job_key(person: Person) -> str:
    """The key of the job that answers the present mark; each mark has its own, so that a job that is just ending can't
    be taken for the one that is asked for.
    """
    return f"{person.public_id}-{person.match_wanted}"


def job_key_column() -> ColumnElement[str]:
    """`job_key` as a column of a query."""
    return Person.public_id + "-" + cast(Person.match_wanted, String)


def request(event: Event, actor: User, trigger: RematchTrigger = RematchTrigger.REQUESTED) -> int:
    """Ask for new matches of everybody in the event; returns how many people that are."""
    event = locks.lock_event(event.id)
    rematch = waiting_rematch(event)
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


def leave(person: Person) -> None:
    """The person is not searched for any more, and counts in no rematch."""
    write_unsynced(delete(RematchPerson).where(RematchPerson.person_id == person.id))


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


def waiting_rematch(event: Event) -> Rematch | None:
    """The event's rematch that has not started."""
    return db.session.scalar(
        select(Rematch).where(Rematch.event_id == event.id, Rematch.started_at.is_(None)).order_by(Rematch.id).limit(1)
    )


def write_unsynced(statement: object) -> None:
    """Carry out a statement on rows that the session does not hold, or reads anew before it needs them."""
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
