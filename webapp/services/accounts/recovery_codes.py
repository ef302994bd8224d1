"""Recovery codes: the way back for an account without a proven address, to be written down or kept as a link.

A code is shown once and kept as a hash. It works until a new one is made, an address is proven, the password is set or
changed, or the account is disabled or gone. It opens the account as often as it is needed, so it is long: 16 of 31
characters, 79 random bits.
"""

import secrets

from sqlalchemy import select

from webapp import tokens
from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound
from webapp.models import User
from webapp.services.accounts import accounts
from webapp.services.core import audit

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without characters that people take for one another."""

_GROUPS, _LENGTH = 4, 4


def renew(user: User) -> str:
    """Make a new code for an account, such as "7KQM-2XPD-9HTR-4WAB", in place of any before; call it in a unit of work.

    Raises:
        Conflict: the account's address is proven; a link to it is the way back.
    """
    user = accounts.locked(user.id)
    if user.email_verified_at is not None:
        raise Conflict(code="email_proven")
    code = "-".join("".join(secrets.choice(ALPHABET) for _ in range(_LENGTH)) for _ in range(_GROUPS))
    user.recovery_hash = tokens.token_hash(normalised(code))
    audit.record(user, "recovery_code.made", "user", user.public_id)
    return code


def account_of(code: str) -> User:
    """Return the account that a code opens, as it was typed; call it in the unit of work that opens a session.

    The account is locked against change, so that a code that is just being ended opens nothing after that.

    Raises:
        NotFound: it opens none.
    """
    user = db.session.scalar(
        select(User)
        .where(User.recovery_hash == tokens.token_hash(normalised(code)), User.disabled_at.is_(None))
        .with_for_update(read=True)
    )
    if user is None:
        raise NotFound(code="recovery_code_unknown")
    return user


def normalised(code: str) -> str:
    """Return a code without spaces and hyphens, in capital letters."""
    return "".join(char for char in code.upper() if char.isalnum())
