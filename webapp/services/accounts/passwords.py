"""Passwords: setting, changing and replacing them.

A new password ends every session and API token of the account, every link that could set another one, and the recovery
code, which somebody else may have made while they were signed in. Tokens that may only upload stay: they are listed in
the studio and revoked there.
"""

from dataclasses import dataclass

from sqlalchemy import delete

from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, Unauthenticated
from webapp.models import LinkPurpose, SignInLink, User, UserSession
from webapp.services.accounts import accounts, demo_accounts, mail_budgets
from webapp.services.accounts.mail_budgets import Letter, Purpose
from webapp.services.core import audit

RESET_KIND = "password_reset"
"""The mail with links that set a new password."""


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A checked password, as an account keeps it."""

    hashed: str
    tag: int


def prepare(password: str) -> NewPassword:
    """Check and hash a new password; call it before a unit of work's first statement.

    Raises:
        Invalid: too short or too long.
    """
    if not accounts.MIN_PASSWORD <= len(password) <= accounts.MAX_PASSWORD:
        raise Invalid(code="new_password_length", fields={"password": "new_password_length"})
    return NewPassword(accounts.hash_password(password), accounts.password_tag(password))


def can_have_one(user: User) -> bool:
    """Return True where the account has an address or username with which a password can be typed."""
    return user.email is not None or user.username is not None


def has_way_back(user: User) -> bool:
    """Return True where the account can be signed in to again after its last session ends.

    A password beside an unproven address is none: the address is dropped after two days, and with it what is typed.
    """
    return user.email_verified_at is not None or (user.password_hash is not None and user.username is not None)


def check_current(user: User, password: str) -> None:
    """Compare the account's present password with what was typed.

    Raises:
        Unauthenticated: it is another one.
    """
    if not accounts.matches(user.password_hash or "", password):
        error = Unauthenticated(code="password_wrong")
        error.fields = {"current": error.code}
        raise error


def change(user: User, new: NewPassword, proof: str | None) -> User:
    """Set or change the password of a signed-in account; `proof` is the hash that the present one was checked against.

    Returns the account. The caller opens a new session for the browser that asked.

    Raises:
        Conflict: the password was changed meanwhile, or nothing could be typed with it to sign in.
    """
    user = accounts.locked(user.id)
    if user.password_hash != proof:
        raise Conflict(code="password_changed")
    if not can_have_one(user):
        raise Conflict(code="password_without_address")
    replace(user, new)
    return user


def replace(user: User, new: NewPassword) -> None:
    """Write the password and end the account's sessions, API tokens, recovery code and password links.

    The account is locked.
    """
    # A demo's account stays one: it opens nothing outside a demo.
    marked = demo_accounts.is_marked(user.password_hash)
    user.password_hash = demo_accounts.marked(new.hashed) if marked else new.hashed
    user.password_tag = new.tag if user.email is not None and user.email_verified_at is None else None
    user.recovery_hash = None
    db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))
    db.session.execute(
        delete(SignInLink).where(
            SignInLink.user_id == user.id, SignInLink.purpose == LinkPurpose.PASSWORD, SignInLink.used_at.is_(None)
        )
    )
    db.session.flush()
    audit.record(user, "password.changed", "user", user.public_id)


def ask(email: str, language: str, device: str | None) -> None:
    """Ask for a mail with links that set a new password for the accounts of an address, as it was typed.

    The same is done whether or not there is one: the worker looks, and sends nothing where there is none.
    """
    try:
        email = accounts.checked_email(email)
    except Invalid:
        return
    mail_budgets.send(Letter(email, Purpose.PASSWORD, language, RESET_KIND, None, {"device": device or ""}))
