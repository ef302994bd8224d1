"""Marking people whose matches have to be computed anew.

The event's row is the place where new faces and new templates meet: whoever adds either takes its lock first, in the
transaction that adds them. So of two that come at once the second always sees the first, and no match is missed.

Locks are taken in one order, so that no two transactions wait for each other: event, photo or selfie, person, match.
"""

from collections.abc import Iterable

from sqlalchemy import String, cast, select
from sqlalchemy.sql.elements import ColumnElement

from webapp.extensions import db
from webapp.models import Event, Person
from webapp.queueing import MATCH_PERSON, enqueue_after_commit


def lock_event(event_id: int) -> Event:
    """The event, locked to the end of the transaction (others may still join it and upload to it)."""
    return db.session.scalars(
        select(Event)
        .where(Event.id == event_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()


def lock_person(person_id: int) -> Person:
    """The person, locked to the end of the transaction, as they are now."""
    return db.session.scalars(
        select(Person).where(Person.id == person_id).with_for_update().execution_options(populate_existing=True)
    ).one()


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
