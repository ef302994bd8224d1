"""The demo's own accounts, one of them an admin, whose passwords are printed: they open nothing outside a demo.

Their password hashes carry a mark. Where the process was not started as a demo (`Settings.is_demo`), an account with a
marked hash can't sign in, and sessions and upload tokens from the time of the demo don't count. The mark belongs to the
password: nothing else has to be kept in step with it, and it is in the database, whichever DATA_DIR comes with that.
"""

from flask import current_app
from sqlalchemy import ColumnElement, or_, true

from webapp.models import User

MARK = "demo:"


def marked(password_hash: str) -> str:
    """The hash of a password that was printed, as it is kept."""
    return MARK + password_hash


def is_marked(password_hash: str | None) -> bool:
    """Whether this is the hash of a password that was printed."""
    return password_hash is not None and password_hash.startswith(MARK)


def admitted() -> ColumnElement[bool]:
    """The condition on `User` for accounts that may be used in this process."""
    if current_app.extensions["settings"].is_demo:
        return true()
    return or_(User.password_hash.is_(None), ~User.password_hash.startswith(MARK, autoescape=True))


def admits(password_hash: str | None) -> bool:
    """The same for one account."""
    return bool(current_app.extensions["settings"].is_demo) or not is_marked(password_hash)
