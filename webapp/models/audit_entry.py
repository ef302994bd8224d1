"""Who did what to which object, and when; no biometrics, no names."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.columns import new_public_id
from webapp.db.extensions import Model


class AuditEntry(Model):
    """One line of the append-only log."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    """Handed out as a receipt."""
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[str]
    """The object's public id."""
