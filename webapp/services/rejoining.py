"""Joining a further event with an account that is there already: one tap, and the known selfie is searched there too."""

from contextlib import ExitStack
from dataclasses import dataclass

from webapp.models import Event, Membership, SelfieStatus, User
from webapp.queueing import unit_of_work
from webapp.services import blobs, enrolment, selfies


@dataclass(frozen=True, slots=True)
class Joined:
    """What joining came to."""

    membership: Membership
    agreed: bool
    selfie_status: SelfieStatus | None
    """Of the selfie that was taken along; None where there was none to take."""


def join_further(event: Event, user: User, *, consent: bool, language: str) -> Joined:
    """Join an event, in a unit of work of its own. With consent, the user's selfie of an earlier event is taken along.

    Raises:
        Conflict: the event is closed and the user isn't in it.
    """
    known = selfies.newest_accepted(user) if consent else None
    with ExitStack() as stack:
        picture = None
        if known is not None and known.person.event_id != event.id:
            stream = stack.enter_context(blobs.store().open(known.blob_key))
            picture = stack.enter_context(selfies.staged(event, stream))
        stack.enter_context(unit_of_work())
        membership = enrolment.join(event, user)
        person = enrolment.own_person(membership)
        if consent:
            enrolment.grant_consent(person, enrolment.CONSENT_VERSION, language=language)
        selfie = selfies.receive_selfie(person, picture) if picture is not None else None
        status = selfie.status if selfie is not None else None
        agreed = enrolment.active_consent(person) is not None
    return Joined(membership, agreed, status)
