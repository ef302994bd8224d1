"""What an event has cost: billable calls of a face service."""

from datetime import date

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.extensions import Model


class EngineUsage(Model):
    """How often one operation was called for one event on one day."""

    __tablename__ = "engine_usage"
    __table_args__ = (UniqueConstraint("event_public_id", "day", "operation"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    event_public_id: Mapped[str]
    """No foreign key: the bill stays when the event goes."""
    day: Mapped[date]
    operation: Mapped[str]
    calls: Mapped[int] = mapped_column(default=0)
