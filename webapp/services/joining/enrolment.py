"""Joining an event."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import contains_eager

from webapp.db.extensions import db
from webapp.models import Admission, Event, Membership, Person, PersonKind, User
from webapp.services.accounts import accounts, address_claims
from webapp.services.core import audit
from webapp.services.events import events, join_period


def enrol(
    event: Event,
    *,
    name: str,
    email: str | None,
    password: str | None = None,
    username: str | None = None,
    language: str | None = None,
    device: str | None = None,
) -> Membership:
    """A new account and its place in the event.

    An address that has an account already gets the same answer as any other: a new, unproven account that shares
    nothing with the other one. Without an address (None) the account lives in the browser that made it. `device` is the
    hash of the device that asks, where it is known.

    Raises:
        Invalid, Conflict: as create_user and join.
    """
    accounts.check_input(email, name, password, name_field="name" if username is None else "username")
    password_hash = accounts.hash_password(password) if password is not None else None
    events.require_open(event)
    join_period.require_joinable(event)
    user = accounts.create_user(
        email=email,
        name=name,
        password_hash=password_hash,
        username=username,
        language=language,
        device=device,
        password_tag=accounts.password_tag(password) if password is not None else None,
    )
    return join(event, user)


def join(event: Event, user: User) -> Membership:
    """The user's place in the event, made if there is none; twice at once still makes one.

    Raises:
        Conflict: the event is closed, or joining has ended, and the user isn't in it.
    """
    known = membership_of(event, user)
    if known is not None:
        return known
    event = events.hold_open(event.id)
    join_period.require_joinable(event)
    admission = Admission.WAITING if event.admits_guests else Admission.ADMITTED
    membership = Membership(event_id=event.id, user_id=user.id, admission=admission)
    membership.persons.append(Person(event_id=event.id, name=user.name))
    try:
        with db.session.begin_nested():
            db.session.add(membership)
    except IntegrityError:
        found = membership_of(event, user)
        if found is None:
            raise
        return found
    address_claims.hold(membership)
    audit.record(user, "event.joined", "event", event.public_id)
    return membership


def membership_of(event: Event, user: User) -> Membership | None:
    """The user's place in the event."""
    return db.session.scalar(select(Membership).where(Membership.event_id == event.id, Membership.user_id == user.id))


def membership_by_code(code: str, user: User) -> Membership | None:
    """Return the user's place in the event of a code; None without one, whether or not there is such an event."""
    return db.session.scalar(
        select(Membership)
        .join(Membership.event)
        .options(contains_eager(Membership.event))
        .where(Event.code_key == events.normalise_code(code), Membership.user_id == user.id)
    )


def own_person(membership: Membership) -> Person:
    """The member themselves, as somebody to be searched for."""
    return next(person for person in membership.persons if person.kind is PersonKind.SELF)
