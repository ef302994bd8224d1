"""Duties that exactly one process across all machines carries out at a time."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.extensions import Model


class Lease(Model):
    """A named duty and who holds it until when."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    expires_at: Mapped[datetime]
    last_run_at: Mapped[datetime | None]
