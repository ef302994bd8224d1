"""Locks of rows that transactions meet at.

The event's row is the place where new faces and new templates meet: whoever adds either takes its lock first, in the
transaction that adds them. So of two that come at once the second always sees the first, and no match is missed.

Locks are taken in one order, so that no two transactions wait for each other: event, membership, photo or selfie,
person, match.
"""

from sqlalchemy import select

from webapp.db.extensions import db
from webapp.errors import Conflict
from webapp.models import Event, Membership, Person


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


def lock_membership(membership_id: int) -> Membership:
    """The membership, locked to the end of the transaction, as it is now. Locked after the event, before the person.

    Raises:
        Conflict: it is gone, as when two accounts are put together.
    """
    membership = db.session.scalars(
        select(Membership)
        .where(Membership.id == membership_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if membership is None:
        raise Conflict
    return membership
