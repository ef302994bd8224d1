"""Who is affected by a leak: what is kept of each person, to tell the people and the authority (docs/breaches.md).

Three kinds of people can be named: members of events, accounts without an event, and addresses that only a mail or an
invitation carries. People in photos who have no account can't; of them only the number of faces is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, distinct, exists, func, literal, select

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    ConfirmedVector,
    Consent,
    Event,
    FaceVector,
    Invitation,
    Mail,
    Match,
    Membership,
    Person,
    Photo,
    Selfie,
    SelfieVector,
    User,
    Verdict,
)

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Affected:
    """A person, or an address, and what is kept of them; of somebody in several events there is one for each."""

    event_code: str = ""
    event: str = ""
    role: str = ""
    """In the event; of accounts without one the account's role; else `invited` or `mailed`."""
    account: str = ""
    """Public id."""
    name: str = ""
    email: str = ""
    email_proven: bool = False
    language: str = ""
    since: datetime | None = None
    password: bool = False
    """A hash of a password is kept."""
    selfie_pictures: int = 0
    templates: int = 0
    """Face templates of this person in our database."""
    templates_at_service: int = 0
    """Those that a face service keeps, of which there are only references here."""
    photos: int = 0
    """Photos in which they were found, or may be."""
    photos_handed_in: int = 0
    consent_version: str = ""
    """Of the latest consent."""
    consent_given: datetime | None = None
    consent_withdrawn: datetime | None = None


@dataclass(frozen=True, slots=True)
class InPhotos:
    """What is kept of all people in photos, with an account or without."""

    photos: int
    templates: int


def people(event: Event | None, until: datetime | None = None) -> Iterator[Affected]:
    """Everybody of an event, or of the installation. `until`: who came later is left out."""
    until = until or utcnow()
    yield from _rows(_members(event).where(Membership.created_at <= until))
    if event is None:
        yield from _rows(_without_event().where(User.created_at <= until))
    yield from _rows(_invited(event).where(Invitation.created_at <= until))
    if event is None:
        yield from _rows(_mailed(until))


def in_photos(event: Event | None) -> InPhotos:
    """How many photos and face templates of photos there are."""
    photos, vectors = select(func.count(Photo.id)), select(func.count(FaceVector.id))
    if event is not None:
        photos, vectors = photos.where(Photo.event_id == event.id), vectors.where(FaceVector.event_id == event.id)
    return InPhotos(db.session.scalar(photos) or 0, db.session.scalar(vectors) or 0)


def _rows(wanted: Select[*tuple[Any, ...]]) -> Iterator[Affected]:
    found = db.session.execute(wanted.execution_options(yield_per=_BATCH))
    for row in found.mappings():
        yield Affected(**{name: value for name, value in row.items() if value is not None})


def _members(event: Event | None) -> Select[*tuple[Any, ...]]:
    """A row for each person of each member; team members are nobody who is searched for, and have one as well."""
    latest = select(func.max(Consent.id)).where(Consent.person_id == Person.id).correlate(Person).scalar_subquery()
    wanted = (
        select(
            Event.code.label("event_code"),
            Event.name.label("event"),
            Membership.role.label("role"),
            *_account(),
            func.coalesce(Person.name, User.name).label("name"),
            Membership.created_at.label("since"),
            *_faces(),
            Consent.text_version.label("consent_version"),
            Consent.granted_at.label("consent_given"),
            Consent.withdrawn_at.label("consent_withdrawn"),
        )
        .select_from(Membership)
        .join(Event, Event.id == Membership.event_id)
        .join(User, User.id == Membership.user_id)
        .outerjoin(Person, Person.membership_id == Membership.id)
        .outerjoin(Consent, Consent.id == latest)
        .order_by(Event.id, Membership.id, Person.id)
    )
    return wanted if event is None else wanted.where(Event.id == event.id)


def _account() -> list[ColumnElement[Any]]:
    return [
        User.public_id.label("account"),
        User.email.label("email"),
        User.email_verified_at.is_not(None).label("email_proven"),
        User.language.label("language"),
        User.password_hash.is_not(None).label("password"),
    ]


def _faces() -> list[ColumnElement[Any]]:
    """Counts of what is kept of a person's face, and of the photos of their account in the event."""
    selfies = select(func.count(Selfie.id)).where(Selfie.person_id == Person.id, Selfie.pictures_erased_at.is_(None))
    vectors = select(func.count(SelfieVector.id)).join(Selfie).where(Selfie.person_id == Person.id)
    confirmed = select(func.count(ConfirmedVector.id)).where(
        ConfirmedVector.person_id == Person.id, ConfirmedVector.external_id != ""
    )
    found = select(func.count(distinct(Match.photo_id))).where(
        Match.person_id == Person.id, Match.verdict != Verdict.REJECTED
    )
    sent = select(func.count(Photo.id)).where(Photo.event_id == Event.id, Photo.uploaded_by_id == User.id)
    here = vectors.where(SelfieVector.vector.is_not(None)).correlate(Person).scalar_subquery()
    there = vectors.where(SelfieVector.external_id.is_not(None)).correlate(Person).scalar_subquery()
    mean = case((Person.expansion.is_not(None), 1), else_=0)
    return [
        selfies.correlate(Person).scalar_subquery().label("selfie_pictures"),
        (here + mean).label("templates"),
        (there + confirmed.correlate(Person).scalar_subquery()).label("templates_at_service"),
        found.correlate(Person).scalar_subquery().label("photos"),
        sent.correlate(Event, User).scalar_subquery().label("photos_handed_in"),
    ]


def _without_event() -> Select[*tuple[Any, ...]]:
    return (
        select(User.role.label("role"), *_account(), User.name.label("name"), User.created_at.label("since"))
        .where(~exists().where(Membership.user_id == User.id))
        .order_by(User.id)
    )


def _invited(event: Event | None) -> Select[*tuple[Any, ...]]:
    """Addresses that were invited; those of accounts are in other rows as well."""
    wanted = (
        select(
            func.coalesce(Event.code, "").label("event_code"),
            func.coalesce(Event.name, "").label("event"),
            Invitation.email.label("email"),
            (Invitation.used_at.is_not(None)).label("email_proven"),
            Invitation.created_at.label("since"),
            literal("invited").label("role"),
        )
        .select_from(Invitation)
        .outerjoin(Event, Event.id == Invitation.event_id)
        .order_by(Invitation.id)
    )
    return wanted if event is None else wanted.where(Invitation.event_id == event.id)


def _mailed(until: datetime) -> Select[*tuple[Any, ...]]:
    """Addresses that stand in mails alone: those that were dropped unproven, and those of accounts that are gone."""
    return (
        select(
            Mail.recipient.label("email"),
            func.min(Mail.created_at).label("since"),
            literal("mailed").label("role"),
        )
        .where(Mail.created_at <= until)
        .where(~exists().where(User.email == Mail.recipient), ~exists().where(Invitation.email == Mail.recipient))
        .group_by(Mail.recipient)
        .order_by(func.min(Mail.id))
    )
