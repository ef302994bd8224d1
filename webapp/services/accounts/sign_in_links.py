"""Links that sign their reader in: single use, soon over, kept as hashes.

A link belongs to one account and opens that account. Using it proves the address that it was sent to, for that account.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from webapp import tokens
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Invalid
from webapp.models import Event, LinkPurpose, Mail, Membership, SignInLink, User
from webapp.services.accounts import accounts, address_claims, mail_budgets
from webapp.services.accounts.mail_budgets import Letter, Purpose

MAIL_KIND = "sign_in"
LIFETIME = mail_budgets.WINDOW
"""Of a link that somebody asked for; not shorter than the budget's window, which `mail_budgets` says why."""

TO_PROVE = address_claims.LIFETIME
"""Of the link that is sent to whoever joins: as long as they may take to prove their address."""

MOST_IN_A_MAIL = 12
MOST_OF_DEVICE = 2
"""Accounts that come first in a mail, since they were made on the device that asks for it."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as a mail, or the page of a link, tells it from others with the same address."""

    user: User
    events: list[Event]
    """The latest first."""

    @property
    def joined_at(self) -> datetime:
        return self.user.created_at


def send_to_newcomer(membership: Membership, language: str) -> None:
    """Ask for the mail to somebody who has just joined, with the link that proves their address."""
    user = membership.user
    if user.email is not None:
        mail_budgets.send(Letter(user.email, Purpose.JOINED, language, MAIL_KIND, user.id))


def send_own(user: User, language: str) -> bool:
    """Ask for a further link to an account whose holder is signed in to it; returns whether the budget allows one."""
    return user.email is not None and mail_budgets.send(Letter(user.email, Purpose.OWN, language, MAIL_KIND, user.id))


def send_to(email: str, language: str, device: str | None) -> None:
    """Ask for a mail with links to the accounts that an address has, as somebody typed it.

    The same is done whether or not there is one: the worker looks, and sends nothing where there is none. A request
    from the device on which one of them was made comes from that account's budget.
    """
    try:
        email = accounts.checked_email(email)
    except Invalid:
        return
    own = _made_on(device, email) if device is not None else None
    purpose = Purpose.ASKED if own is None else Purpose.OWN
    params = {"device": device or ""}
    if own is None:
        mail_budgets.send(Letter(email, purpose, language, MAIL_KIND, None, params))
    elif not mail_budgets.send(Letter(email, purpose, language, MAIL_KIND, own, params | {"all": "y"})):
        mail_budgets.send(Letter(email, Purpose.ASKED, language, MAIL_KIND, None, params))


def _made_on(device: str, email: str) -> int | None:
    made = select(User.id).where(User.email == email, User.device == device, User.disabled_at.is_(None))
    return db.session.scalar(made.order_by(User.id).limit(1))


def accounts_in(mail: Mail) -> list[Account]:
    """The accounts that a mail brings links to; none where it is no longer about any of them. Runs in a worker."""
    if mail.user_id is not None and "all" not in mail.params:
        user = db.session.get(User, mail.user_id)
        found = [user] if user is not None and user.disabled_at is None and user.email == mail.recipient else []
    else:
        found = _asked_for(mail.recipient, mail.params.get("device") or None)
    return [Account(user, events_of(user)) for user in found]


def _asked_for(email: str, device: str | None) -> list[User]:
    """The proven account alone; without one all that the address was typed for. A disabled one hides nothing less."""
    if (owner := accounts.verified_user(email)) is not None:
        return [owner] if owner.disabled_at is None else []
    found = accounts.accounts_of(email)
    # A stranger's device must not fill the mail with its own accounts.
    mine = [user for user in found if device is not None and user.device == device][:MOST_OF_DEVICE]
    return [*mine, *(user for user in found if user not in mine)][:MOST_IN_A_MAIL]


def events_of(user: User) -> list[Event]:
    """The events that an account is in, the one joined last first."""
    joined = select(Event).join(Membership).where(Membership.user_id == user.id).order_by(Membership.id.desc())
    return list(db.session.scalars(joined))


def new_token(user: User, lifetime: timedelta = LIFETIME, purpose: LinkPurpose = LinkPurpose.SIGN_IN) -> str:
    """A token for a mail that is about to go out; only its hash is kept."""
    token = secrets.token_urlsafe(24)
    link = SignInLink(
        user_id=user.id,
        email=user.email or "",
        purpose=purpose,
        token_hash=tokens.token_hash(token),
        expires_at=utcnow() + lifetime,
    )
    db.session.add(link)
    db.session.flush()
    return token


def account_of(token: str, purpose: LinkPurpose = LinkPurpose.SIGN_IN) -> Account | None:
    """The account that an unused link of this purpose opens; None where it opens nothing. Looking changes nothing."""
    link = db.session.scalar(
        select(SignInLink).where(
            SignInLink.token_hash == tokens.token_hash(token),
            SignInLink.purpose == purpose,
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > utcnow(),
        )
    )
    user = _opened_by(link)
    return Account(user, events_of(user)) if user is not None else None


def is_familiar(user: User, signed_in: User | None, device: str | None) -> bool:
    """Whether the browser that asks is one that the account was made on, or is signed in to it."""
    return (signed_in is not None and signed_in.id == user.id) or (device is not None and device == user.device)


def _opened_by(link: SignInLink | None) -> User | None:
    user = db.session.get(User, link.user_id) if link is not None else None
    return user if user is not None and user.disabled_at is None and link and user.email == link.email else None
