"""Consent to face search: the ledger of who agreed to which text, and when they took it back."""

from sqlalchemy import select, update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Invalid
from webapp.models import Consent, Person
from webapp.services.core import locks

CONSENT_VERSION = "2026-12"
"""Moves whenever the text that people agree to changes its meaning."""


def grant_consent(person: Person, version: str, *, language: str) -> Consent:
    """Write down that the person agreed to the text of this version.

    Raises:
        Invalid: the text has changed meanwhile and has to be shown again.
    """
    if version != CONSENT_VERSION:
        raise Invalid(code="consent_outdated", fields={"consent": "consent_outdated"})
    current = active_consent(person)
    if current is not None and current.text_version == version:
        return current
    # Before the consent, whose row holds on to the person: whoever locks both takes the membership first.
    locks.lock_membership(person.membership_id)
    consent = Consent(person_id=person.id, text_version=version, language=language)
    db.session.add(consent)
    db.session.flush()
    return consent


def withdraw_consent(person: Person) -> None:
    """Write down that the person no longer agrees, to none of the texts that they ever agreed to."""
    db.session.execute(
        update(Consent)
        .where(Consent.person_id == person.id, Consent.withdrawn_at.is_(None))
        .values(withdrawn_at=utcnow())
    )


def has_agreed(person: Person) -> bool:
    """Whether the person agrees to the present text. Who agreed to an earlier one goes on being searched for, and is
    asked again with the next selfie.
    """
    current = active_consent(person)
    return current is not None and current.text_version == CONSENT_VERSION


def active_consent(person: Person) -> Consent | None:
    """The consent that holds now."""
    return db.session.scalar(
        select(Consent)
        .where(Consent.person_id == person.id, Consent.withdrawn_at.is_(None))
        .order_by(Consent.id.desc())
        .limit(1)
    )
