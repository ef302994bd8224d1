"""How many selfies a guest may hand in on a day of one event, whichever way they come."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound, TooMany
from webapp.models import Event, Membership, Person, User
from webapp.services.core import audit
from webapp.services.core.locks import lock_membership
from webapp.services.strangers.search_stops import code_of, stop_of

PER_DAY = 5

DAY = timedelta(hours=24)
"""A guest's day begins with its first selfie."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a guest has used up of their day."""

    used: int
    allowed: int


def take(person: Person) -> None:
    """Count one more selfie of this person's account. The count is kept apart from the selfies: erasing them, or a
    refused check, gives nothing back.

    The account is locked to the end of the transaction, so that of two selfies at once the second sees the first.

    Raises:
        Conflict: the search for this account is stopped.
        TooMany: the account has handed in all that it may today.
    """
    membership = lock_membership(person.membership_id)
    if membership.runs_event:
        return  # Who sees all photos anyway gains nothing by selfies. They may have been stopped as a guest, before.
    stop = stop_of(membership)
    if stop is not None:
        raise Conflict(code=code_of(stop), fields={"file": code_of(stop)})
    if _is_over(membership.selfies_counted_since):
        _begin_day(membership)
    if membership.selfies_counted >= (membership.selfie_allowance or PER_DAY):
        error = TooMany(code="selfies_enough", fields={"file": "selfies_enough"})
        error.seconds = _seconds_left(membership)
        raise error
    membership.selfies_counted += 1


def of_person(event: Event, public_id: str) -> Allowance:
    """What the person's account has used up today.

    Raises:
        NotFound: nobody of this event has this id.
    """
    membership = membership_of(event, public_id)
    if _is_over(membership.selfies_counted_since):
        return Allowance(0, PER_DAY)
    return Allowance(membership.selfies_counted, membership.selfie_allowance or PER_DAY)


def give_more(event: Event, public_id: str, actor: User) -> None:
    """Let the person's account hand in as many selfies again today, by the photographer's leave.

    Raises:
        NotFound: nobody of this event has this id.
    """
    membership = lock_membership(membership_of(event, public_id).id)
    if _is_over(membership.selfies_counted_since):
        _begin_day(membership)
    membership.selfie_allowance = membership.selfies_counted + PER_DAY
    audit.record(actor, "selfies.more_allowed", "person", public_id)


def membership_of(event: Event, public_id: str) -> Membership:
    """The account that a person of the event belongs to.

    Raises:
        NotFound: nobody of this event has this id.
    """
    found = db.session.scalar(
        select(Membership).join(Person).where(Person.public_id == public_id, Person.event_id == event.id)
    )
    if found is None:
        raise NotFound(code="not_found")
    return found


def _seconds_left(membership: Membership) -> int:
    """Until the guest's day is over."""
    since = membership.selfies_counted_since or utcnow()
    return max(1, math.ceil((since + DAY - utcnow()).total_seconds()))


def _is_over(since: datetime | None) -> bool:
    """Also where the day began in the future: then a clock was wrong."""
    now = utcnow()
    return since is None or since > now or now - since >= DAY


def _begin_day(membership: Membership) -> None:
    membership.selfies_counted, membership.selfie_allowance = 0, None
    membership.selfies_counted_since = utcnow()
