"""Joining a further event with an account that is there already: one tap, and the known selfie is used there too."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from webapp.models import Event, Membership, SelfieStatus, User
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, consents, locks
from webapp.services.joining import enrolment
from webapp.services.selfies import selfie_intake
from webapp.services.selfies.origin import Origin


@dataclass(frozen=True, slots=True)
class Joined:
    """What joining came to."""

    membership: Membership
    agreed: bool
    selfie_status: SelfieStatus | None
    """Of the selfie that was taken along; None where there was none to take."""


def join_further(
    event: Event, user: User, *, consent: str | None, language: str, origin: Origin = selfie_intake.UNKNOWN
) -> Joined:
    """Join an event, in a unit of work of its own. With consent (the version of its text), the user's selfie of an
    earlier event is taken along, unless they have one in this event.

    Raises:
        Conflict: the event is closed and the user isn't in it, or the search for them is stopped there.
        Invalid: the consent's text has changed meanwhile.
        TooMany: the user has handed in all selfies of the day there.
    """
    known = selfie_intake.newest_accepted(user) if consent and not selfie_intake.has_selfie(event, user) else None
    with ExitStack() as stack:
        picture = None
        if known is not None:
            stream = stack.enter_context(blobs.store().open(known.blob_key))
            picture = stack.enter_context(selfie_intake.staged(event, stream))
        stack.enter_context(unit_of_work())
        membership = enrolment.join(event, user)
        person = enrolment.own_person(membership)
        if consent:
            consents.grant_consent(person, consent, language=language)
        selfie = None
        # The lock, since the same request may come twice at the same moment.
        locks.lock_membership(membership.id)
        if picture is not None and known is not None and not selfie_intake.has_selfie(event, user):
            taken = replace(origin, source=known.source)
            selfie = selfie_intake.receive_selfie(person, picture, origin=taken)
        status = selfie.status if selfie is not None else None
        agreed = consents.active_consent(person) is not None
    return Joined(membership, agreed, status)
