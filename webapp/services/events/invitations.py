"""Invitations by mail: an admin's, to become a photographer here, and an owner's, into the team of one event.

A link is good once and for seven days. Its token is made when its mail is rendered and only its hash is kept; sending
an invitation again makes a new one, so that the mail before leads nowhere.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import select, update

from webapp import tokens
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound, TooMany
from webapp.models import Event, Invitation, User, UserRole
from webapp.services.accounts import accounts, mail_budgets
from webapp.services.accounts.mail_budgets import Letter, Purpose
from webapp.services.core import audit
from webapp.services.events import team

LIFETIME = timedelta(days=7)
MAIL_KIND = "invitation"
ADDED_KIND = "team"
"""Tells a photographer that they are in the team of an event; there is nothing to accept."""
MOST_LISTED = 200


class State(StrEnum):
    """What has become of an invitation."""

    OPEN = "open"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of asking somebody: added at once, or a mail is on its way."""

    added: User | None
    invitation: Invitation | None


def state_of(invitation: Invitation) -> State:
    """What has become of it."""
    if invitation.used_at is not None:
        return State.USED
    if invitation.revoked_at is not None:
        return State.REVOKED
    return State.EXPIRED if invitation.expires_at <= utcnow() else State.OPEN


def invite_photographer(email: str, actor: User, language: str) -> Invitation:
    """Ask somebody to become a photographer here.

    Raises:
        Invalid: the address can't be used.
        Conflict: it belongs to a photographer already.
        TooMany: it was written to often enough lately.
    """
    email = accounts.checked_email(email)
    known = accounts.verified_user(email)
    if known is not None and known.is_photographer:
        raise Conflict(code="photographer_already", fields={"email": "photographer_already"})
    return _invite(email, None, actor, language)


def invite_to_team(event: Event, email: str, actor: User, language: str) -> Sent:
    """Add a photographer to the team of an event at once, or ask somebody who is none yet by mail.

    Raises:
        Invalid, TooMany: as `invite_photographer`.
        Conflict: they run the event already.
    """
    email = accounts.checked_email(email)
    known = accounts.verified_user(email)
    if known is None or not known.is_photographer or known.disabled_at is not None:
        return Sent(None, _invite(email, event, actor, language))
    if not team.add(event, known, actor):
        raise Conflict(code="in_team_already", fields={"email": "in_team_already"})
    _tell(known, event, actor, language)
    return Sent(known, None)


def listed(event: Event | None) -> Sequence[Invitation]:
    """Invitations that nobody used or took back, the newest first: those into a team, or (None) all of admins."""
    return db.session.scalars(
        select(Invitation)
        .where(
            Invitation.event_id.is_(None) if event is None else Invitation.event_id == event.id,
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .order_by(Invitation.id.desc())
        .limit(MOST_LISTED)
    ).all()


def resend(public_id: str, event: Event | None, actor: User, language: str) -> Invitation:
    """Send a new link for an invitation that is open or expired; it lives for seven days from now.

    Raises:
        NotFound: there is no such invitation here.
        TooMany: its address was written to often enough lately.
    """
    invitation = _of(public_id, event)
    # From now on, and not only when a worker has rendered the new mail: an old link would live on with the new time.
    invitation.token_hash, invitation.expires_at = _unknown_hash(), utcnow() + LIFETIME
    _send(invitation, language)
    audit.record(actor, "invitation.resent", "invitation", public_id)
    return invitation


def revoke(public_id: str, event: Event | None, actor: User) -> Invitation:
    """Take an invitation back: its link leads nowhere from now on.

    Raises:
        NotFound: there is no such invitation here.
    """
    invitation = _of(public_id, event)
    invitation.revoked_at = utcnow()
    audit.record(actor, "invitation.revoked", "invitation", public_id)
    return invitation


def renew_token(public_id: str) -> tuple[Invitation, str] | None:
    """A token for a mail that is about to go out; None when the invitation is over."""
    invitation = db.session.scalar(select(Invitation).where(Invitation.public_id == public_id).with_for_update())
    if invitation is None or state_of(invitation) is not State.OPEN:
        return None
    token = secrets.token_urlsafe(24)
    invitation.token_hash = tokens.token_hash(token)
    return invitation, token


def of_token(token: str) -> Invitation:
    """The invitation that a link belongs to, whatever has become of it. Looking changes nothing.

    Raises:
        NotFound: none.
    """
    found = db.session.scalar(select(Invitation).where(Invitation.token_hash == tokens.token_hash(token)))
    if found is None:
        raise NotFound(code="invitation_unknown")
    return found


def event_of(invitation: Invitation) -> Event | None:
    """The event into whose team it leads; None for an admin's, which makes a photographer."""
    return db.session.get(Event, invitation.event_id) if invitation.event_id is not None else None


def can_accept(invitation: Invitation, user: User) -> bool:
    """Whether this account can take it: one whose own address is proven, or is proven by this very link."""
    if user.email_verified_at is not None:
        return True
    return user.email == invitation.email and accounts.verified_user(invitation.email) is None


def accept_as(token: str, user: User) -> User:
    """Take an invitation with the account that one is signed in to.

    Raises:
        NotFound: it is unknown, used, revoked or expired; the code says which.
        Conflict: this account can't take it, see `can_accept`.
    """
    invitation = _use(token)
    if not can_accept(invitation, user):
        raise Conflict(code="sign_in_to_accept")
    user = accounts.locked(user.id)
    proves = user.email == invitation.email and user.email_verified_at is None
    if user.email_verified_at is None and not (proves and accounts.prove(user)):
        raise Conflict(code="sign_in_to_accept")
    return _welcome(invitation, user)


def accept_anew(token: str, *, name: str, password_hash: str, language: str) -> User:
    """Take an invitation with a new account; its address counts as proven, since only its owner was sent the token.

    Call accounts.check_input first.

    Raises:
        NotFound: as `accept_as`.
        Conflict: the address has an account already: its owner signs in.
    """
    invitation = _use(token)
    if accounts.verified_user(invitation.email) is not None:
        raise Conflict(code="sign_in_to_accept")
    user = accounts.create_user(
        email=invitation.email, name=name, password_hash=password_hash, language=language, verified=True
    )
    return _welcome(invitation, user)


def _use(token: str) -> Invitation:
    """Use a token up: of two who come at once, the database lets one through."""
    now = utcnow()
    used = db.session.execute(
        update(Invitation)
        .where(
            Invitation.token_hash == tokens.token_hash(token),
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(used_at=now)
        .returning(Invitation.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if used is None:
        raise NotFound(code=f"invitation_{state_of(of_token(token))}")
    return db.session.get_one(Invitation, used, populate_existing=True)


def _welcome(invitation: Invitation, user: User) -> User:
    event = event_of(invitation)
    if event is not None:
        # Whoever owns an event decides who runs it, and not who makes events here.
        team.add(event, user, user)
    elif user.role is UserRole.GUEST:
        user.role = UserRole.PHOTOGRAPHER
    audit.record(user, "invitation.accepted", "invitation", invitation.public_id)
    return user


def _invite(email: str, event: Event | None, actor: User, language: str) -> Invitation:
    invitation = next((row for row in listed(event) if row.email == email), None)
    if invitation is None:
        invitation = Invitation(email=email, event_id=event.id if event is not None else None)
    invitation.token_hash = _unknown_hash()
    invitation.invited_by_id, invitation.expires_at = actor.id, utcnow() + LIFETIME
    db.session.add(invitation)
    db.session.flush()
    _send(invitation, language)
    audit.record(actor, "invitation.sent", "invitation", invitation.public_id)
    return invitation


def _unknown_hash() -> str:
    """Of a token that nobody knows: until its mail is rendered, an invitation has no link."""
    return tokens.token_hash(secrets.token_urlsafe(24))


def _tell(user: User, event: Event, actor: User, language: str) -> None:
    """Write to somebody who was added at once; without the mail, if their mailbox has had enough of us."""
    if user.email is not None:
        params = {"event": event.public_id, "actor": actor.public_id}
        letter = Letter(user.email, Purpose.INVITATION, user.language or language, ADDED_KIND, user.id, params)
        mail_budgets.send(letter)


def _send(invitation: Invitation, language: str) -> None:
    params = {"invitation": invitation.public_id}
    letter = Letter(invitation.email, Purpose.INVITATION, language, MAIL_KIND, params=params)
    if not mail_budgets.send(letter):
        raise TooMany(code="mails_enough", fields={"email": "mails_enough"})


def _of(public_id: str, event: Event | None) -> Invitation:
    found = db.session.scalar(
        select(Invitation).where(
            Invitation.public_id == public_id,
            Invitation.event_id.is_(None) if event is None else Invitation.event_id == event.id,
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
    )
    if found is None:
        raise NotFound(code="invitation_unknown")
    return found
