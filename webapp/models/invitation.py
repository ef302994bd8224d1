"""Invitations by e-mail: to become a photographer here, or to join the team of an event."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.columns import new_public_id
from webapp.db.extensions import Model


class Invitation(Model):
    """A link sent to an address: good once, for seven days. Using it proves the address; only its hash is kept.

    With an event it leads into that event's team; whoever accepts one is a photographer from then on.
    """

    __tablename__ = "invitation"
    __table_args__ = (Index("ix_invitation_email", "email"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    email: Mapped[str]
    """Lower case, trimmed."""
    event_id: Mapped[int | None] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    invited_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
