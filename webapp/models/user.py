"""People who can sign in, and the ways in which they are signed in."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model


class UserRole(StrEnum):
    """What somebody may do across events; what they are in one event is their membership's role."""

    GUEST = "guest"
    PHOTOGRAPHER = "photographer"
    ADMIN = "admin"


class User(Model):
    """An account.

    Until an address is proven, anyone may have typed it: several unproven accounts can carry the same one, and none of
    them learns of the others. At most one proven account holds an address. An address that isn't proven in time is
    dropped; the account lives on in the browsers that are signed in to it.
    """

    __tablename__ = "user"
    __table_args__ = (
        Index("ix_user_email", "email"),
        Index(
            "uq_user_verified_email",
            "email",
            unique=True,
            sqlite_where=text("email_verified_at IS NOT NULL"),
            postgresql_where=text("email_verified_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    email: Mapped[str | None]
    """Lower case, trimmed; null: the account had none that was proven in time."""
    email_claimed_at: Mapped[datetime | None]
    """When an address that isn't proven yet was typed."""
    email_verified_at: Mapped[datetime | None]
    username: Mapped[str | None]
    """As typed, without spare spaces; people who join through the page have none."""
    username_key: Mapped[str | None] = mapped_column(unique=True)
    """The username for comparison: trimmed, case folded."""
    name: Mapped[str]
    password_hash: Mapped[str | None]
    password_tag: Mapped[int | None]
    """Of an unproven account, see `services.accounts.password_tag`."""
    recovery_hash: Mapped[str | None] = mapped_column(unique=True)
    """Of the recovery code of an account without a proven address; null: it has none."""
    role: Mapped[UserRole] = mapped_column(word(UserRole), default=UserRole.GUEST)
    language: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    disabled_at: Mapped[datetime | None]
    device: Mapped[str | None]
    """The hash of the device on which the account was made, see `webapp.web.access.devices`; null for clients without
    cookies.
    """

    # What flask-login asks of a user. The token is how they are signed in to the present request; it is never stored.
    _session_token: ClassVar[str | None] = None
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str | None:
        """What flask-login keeps in the cookie: the session's token, not the user's key."""
        return self._session_token

    def signed_in_by(self, token: str) -> None:
        """Remember the session's token on this object."""
        self.__dict__["_session_token"] = token

    sessions: Mapped[list["UserSession"]] = relationship(back_populates="user", cascade="all, delete-orphan")

    @property
    def is_admin(self) -> bool:
        return self.role is UserRole.ADMIN

    @property
    def is_photographer(self) -> bool:
        return self.role in (UserRole.PHOTOGRAPHER, UserRole.ADMIN)


class UserSession(Model):
    """One signed-in browser or API client; deleting the row signs it out. Only the token's hash is kept."""

    __tablename__ = "user_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    """browser or api."""
    user_agent: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]

    user: Mapped[User] = relationship(back_populates="sessions")


class LinkPurpose(StrEnum):
    """What a mailed link is for; one for the one purpose never serves the other."""

    SIGN_IN = "sign_in"
    PASSWORD = "password"  # noqa: S105 - a purpose, not a secret


class SignInLink(Model):
    """A single-use link to one account, sent to one address; using it proves that address for that account."""

    __tablename__ = "sign_in_link"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    email: Mapped[str]
    """To which address it went; once the account has another one, the link opens nothing."""
    purpose: Mapped[LinkPurpose] = mapped_column(
        word(LinkPurpose), default=LinkPurpose.SIGN_IN, server_default=text("'sign_in'")
    )
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
