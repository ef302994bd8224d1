"""Ending everybody's access at once, when tokens or links may be in the wrong hands (docs/breaches.md)."""

from dataclasses import dataclass

from sqlalchemy import CursorResult, delete, update
from sqlalchemy.sql.dml import Delete, Update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Invitation, SignInLink, UploadToken, User, UserSession
from webapp.services.core import audit


@dataclass(frozen=True, slots=True)
class Ended:
    """How many of each kind were ended."""

    sessions: int
    """Signed-in browsers and API clients."""
    links: int
    upload_tokens: int
    invitations: int


def end_all() -> Ended:
    """Sign everybody out, and end sign-in links, recovery codes, upload tokens and open invitations.

    Accounts and data stay.
    """
    # Sessions last: whoever comes in by a link or code at this moment is waited for, and signed out as well.
    links = _count(delete(SignInLink).where(SignInLink.used_at.is_(None)))
    db.session.execute(update(User).where(User.recovery_hash.is_not(None)).values(recovery_hash=None))
    ended = Ended(
        sessions=_count(delete(UserSession)),
        links=links,
        upload_tokens=_count(update(UploadToken).where(UploadToken.revoked_at.is_(None)).values(revoked_at=utcnow())),
        invitations=_count(
            update(Invitation)
            .where(Invitation.used_at.is_(None), Invitation.revoked_at.is_(None))
            .values(revoked_at=utcnow())
        ),
    )
    audit.record(None, "access.ended", "installation", "all")
    return ended


def _count(statement: Delete | Update) -> int:
    done = db.session.execute(statement.execution_options(synchronize_session=False))
    return done.rowcount if isinstance(done, CursorResult) else 0
