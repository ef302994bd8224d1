"""Requests that were done once and are answered again when they are repeated."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.extensions import Model


class IdempotencyKey(Model):
    """The outcome of a request that carried an idempotency key.

    Only the keyed hash of the key is kept, and of the request's fields only a keyed hash that tells whether a repeated
    request is the same one.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (
        Index("ix_idempotency_key_created_at", "created_at"),
        Index("ix_idempotency_key_fingerprint", "fingerprint"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(unique=True)
    """Of the operation, its caller and the key."""
    fingerprint: Mapped[str]
    """Of the request's fields without password and picture; of a form, of the browser's own key."""
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    """The account that the request made or belongs to."""
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
