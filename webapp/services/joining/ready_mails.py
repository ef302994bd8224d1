"""Mails that tell guests of their photos: one when they are ready, later at most one in six hours when more come.

The photographer says when photos are ready, with a button or by publishing some. From then on each guest who asked for
it, whose address is proven and who sees at least one photo of themselves gets the first mail, once per event. Further
mails follow when photos of them were added since the last one. A guest without a photo gets the first mail when there
is one.

A mail's row and the membership that says so are written in one transaction, under the membership's lock: a mail is
written once, however many workers run and whenever one of them dies.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound
from webapp.models import (
    Admission,
    Consent,
    Event,
    Mail,
    Match,
    Membership,
    MembershipRole,
    Person,
    PersonKind,
    Photo,
    User,
    Verdict,
)
from webapp.queueing import unit_of_work
from webapp.services.accounts import mail_budgets
from webapp.services.accounts.mail_budgets import Letter, Purpose
from webapp.services.core import audit, locks, periodic
from webapp.services.events import publishing
from webapp.services.rules.visibility import is_out, is_theirs

MAIL_KIND = "photos"
DUTY = "tell_guests"
EVERY = 60.0
"""Seconds between two rounds."""
BATCH = 200
"""Mails that one round writes; the next one goes on."""
PAUSE = timedelta(hours=6)
"""Between two mails to a guest about one event."""


@dataclass(frozen=True, slots=True)
class News:
    """What a mail tells a guest."""

    membership: Membership
    first: bool
    """The photos are ready, and this is the first mail about them."""
    count: int
    """Photos of the guest: all of them in the first mail, the new ones in a later one."""


def may_choose(membership: Membership) -> bool:
    """Return True for a guest whose address is proven, or held for them until they prove it."""
    is_known = membership.user.email_verified_at is not None or membership.claimed_email is not None
    return is_known and membership.role is MembershipRole.ATTENDEE


def choose(membership: Membership, *, wants: bool) -> None:
    """Write down whether a guest wants mails about their photos."""
    locks.lock_membership(membership.id).wants_mail = wants


def announce(event: Event, actor: User) -> int:
    """Let guests be told that their photos are ready; returns how many have asked for it so far."""
    event = locks.lock_event(event.id)
    if event.ready_at is None:
        publishing.announce(event)
        audit.record(actor, "photos.ready", "event", event.public_id)
    return readers_of(event)


def readers_of(event: Event) -> int:
    """Return how many guests get mails about their photos once there are some."""
    readers = select(func.count()).select_from(Membership).join(User, User.id == Membership.user_id)
    return db.session.scalar(readers.where(Membership.event_id == event.id, _may_be_told())) or 0


def tell() -> int | None:
    """Write the mails that are due, if it is this process's turn; returns how many. Runs in a worker."""
    if not periodic.take(DUTY, EVERY):
        return None
    written = 0
    for event_id in _announced():
        for membership_id in _due(event_id, BATCH - written):
            written += _tell(membership_id)
        if written >= BATCH:
            break
    return written


def news_of(mail: Mail, user: User | None) -> News | None:
    """Return what a mail that is about to go out says; None where its reader must not be told any more."""
    membership = db.session.scalar(
        select(Membership)
        .join(Event, Event.id == Membership.event_id)
        .join(User, User.id == Membership.user_id)
        .where(
            Event.public_id == mail.params["event"],
            Membership.user_id == mail.user_id,
            User.email == mail.recipient,
            _may_be_told(),
        )
    )
    if membership is None or user is None:
        return None
    found = db.session.scalar(_photos(membership.event).where(Person.membership_id == membership.id)) or 0
    first = mail.params["first"] == "y"
    count = found if first else min(found, int(mail.params["count"]))
    return News(membership, first, count) if count else None


def stop_token(membership: Membership) -> str:
    """Return the token of a mail's link that stops these mails; it works as long as the installation's secret does."""
    return str(_serializer().dumps([membership.user.public_id, membership.event.public_id]))


def membership_of_token(token: str) -> Membership:
    """Return whose mails a link stops.

    Raises:
        NotFound: the token is not ours, or the guest has left.
    """
    try:
        user_id, event_id = _serializer().loads(token)
    except (BadSignature, ValueError, TypeError) as error:
        raise NotFound(code="not_found") from error
    membership = db.session.scalar(
        select(Membership)
        .join(Event, Event.id == Membership.event_id)
        .join(User, User.id == Membership.user_id)
        .where(Event.public_id == event_id, User.public_id == user_id)
    )
    if membership is None:
        raise NotFound(code="not_found")
    return membership


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="stop-photo-mails")


def _announced() -> list[int]:
    """Return the events whose guests may be waiting for a mail."""
    with reading():
        wanting = select(Membership.event_id).where(Membership.wants_mail.is_(True))
        return list(db.session.scalars(select(Event.id).where(Event.ready_at.is_not(None), Event.id.in_(wanting))))


def _due(event_id: int, limit: int) -> list[int]:
    with reading():
        event = db.session.get(Event, event_id)
        if event is None:
            return []
        return list(db.session.scalars(_due_select(event, utcnow()).limit(limit)))


def _tell(membership_id: int) -> bool:
    """Write the mail that one guest is due, unless another worker has."""
    with unit_of_work():
        try:
            membership = locks.lock_membership(membership_id)
        except Conflict:
            return False
        event, user, now = membership.event, membership.user, utcnow()
        still_due = _due_select(event, now).where(Membership.id == membership.id)
        if db.session.scalar(still_due) is None or user.email is None:
            return False
        first = membership.told_ready_at is None
        photos = _photos(event).where(Person.membership_id == membership.id)
        if not first:
            photos = photos.join(Membership, Membership.id == Person.membership_id).where(_is_new())
        params = {"event": event.public_id, "first": "y" if first else "", "count": str(db.session.scalar(photos))}
        language = user.language or event.language or "en"
        if not mail_budgets.send(Letter(user.email, Purpose.READY, language, MAIL_KIND, user.id, params)):
            return False
        membership.told_ready_at = membership.told_ready_at or now
        membership.told_at = now
        return True


def _due_select(event: Event, now: datetime) -> Select[int]:
    """Select the memberships of an event's guests who are due a mail."""
    mine = (
        exists()
        .where(Person.membership_id == Membership.id, Person.kind == PersonKind.SELF)
        .where(Match.person_id == Person.id, Photo.id == Match.photo_id, is_theirs(event), is_out())
    )
    first = and_(Membership.told_ready_at.is_(None), mine)
    later = and_(Membership.told_ready_at.is_not(None), Membership.told_at <= now - PAUSE, mine.where(_is_new()))
    return (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.event_id == event.id, _may_be_told(), or_(first, later))
        .order_by(Membership.id)
    )


def _photos(event: Event) -> Select[int]:
    """Select how many photos an event shows of a person as theirs."""
    return (
        select(func.count(func.distinct(Match.photo_id)))
        .select_from(Match)
        .join(Photo, Photo.id == Match.photo_id)
        .join(Person, Person.id == Match.person_id)
        .where(Person.kind == PersonKind.SELF, is_theirs(event), is_out())
    )


def _is_new() -> ColumnElement[bool]:
    """Return that a photo came out, or was found, after the last mail. One that the guest confirmed, they have seen."""
    since = or_(Match.created_at > Membership.told_at, Photo.published_at > Membership.told_at)
    return and_(since, Match.verdict == Verdict.NONE)


def _may_be_told() -> ColumnElement[bool]:
    """Return that a member may get a mail about photos; the query joins the member's User."""
    agrees = exists().where(
        Consent.person_id == Person.id,
        Consent.withdrawn_at.is_(None),
        Person.membership_id == Membership.id,
        Person.kind == PersonKind.SELF,
    )
    return and_(
        Membership.wants_mail.is_(True),
        Membership.role == MembershipRole.ATTENDEE,
        Membership.admission == Admission.ADMITTED,
        Membership.search_stopped_at.is_(None),
        User.email_verified_at.is_not(None),
        User.disabled_at.is_(None),
        agrees,
    )
