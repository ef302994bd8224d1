"""Signing up: an account, its place in an event, consent and selfie, all of it or nothing."""

from dataclasses import dataclass

from webapp.errors import Invalid
from webapp.models import Event, Membership, Selfie
from webapp.services.accounts import sign_in_links
from webapp.services.core import consents, idempotency
from webapp.services.core.idempotency import Key
from webapp.services.joining import enrolment
from webapp.services.selfies import selfie_intake
from webapp.services.selfies.origin import Origin
from webapp.services.selfies.selfie_intake import StagedSelfie

MOST_NOTE = 240
"""Characters of a guest's note to the photographer."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A person without an account who joins an event."""

    name: str
    email: str | None
    """None: the account is kept in the browser that made it."""
    language: str
    password: str | None = None
    username: str | None = None
    device: str | None = None
    """Hash of the device that asks."""


@dataclass(frozen=True, slots=True)
class SignedUp:
    """The outcome of signing up."""

    membership: Membership
    selfie: Selfie | None


def sign_up(
    event: Event,
    newcomer: Newcomer,
    *,
    consent: str | None = None,
    picture: StagedSelfie | None = None,
    origin: Origin = selfie_intake.UNKNOWN,
    note: str | None = None,
    wants_mail: bool = False,
    key: Key | None = None,
) -> SignedUp:
    """Make the account and what belongs to it; call it in a unit of work.

    `consent` is the version of the text that the person agreed to, `note` what a person without a selfie writes to the
    photographer. The mail with a link goes out where there is an address.

    Raises:
        Invalid, Conflict: as `enrolment.enrol`, `consents.grant_consent` and `selfie_intake.receive_selfie`; or the
            note is too long.
        RepeatedError: as `idempotency.record`.
    """
    note = " ".join((note or "").split())
    if len(note) > MOST_NOTE or (note and not note.isprintable()):
        raise Invalid(code="note_invalid", fields={"note": "note_invalid"})
    membership = enrolment.enrol(
        event,
        name=newcomer.name,
        username=newcomer.username,
        email=newcomer.email,
        password=newcomer.password,
        language=newcomer.language,
        device=newcomer.device,
    )
    membership.note = note or None
    membership.wants_mail = wants_mail and newcomer.email is not None
    sign_in_links.send_to_newcomer(membership, newcomer.language)
    person, selfie = enrolment.own_person(membership), None
    if consent is not None:
        consents.grant_consent(person, consent, language=newcomer.language)
    if picture is not None:
        selfie = selfie_intake.receive_selfie(person, picture, origin=origin)
    idempotency.record(key, membership.user, event)
    return SignedUp(membership, selfie)
