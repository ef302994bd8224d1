"""Faults that only ops can mend."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.extensions import Model


class Alarm(Model):
    """One kind of fault, from the first time it was met until it is gone."""

    __tablename__ = "alarm"

    name: Mapped[str] = mapped_column(primary_key=True)
    """A stable word, such as `engine_rights`, with a sentence in `webapp.reasons`."""
    detail: Mapped[str] = mapped_column(default="")
    """Which operation and which answer; never a person."""
    count: Mapped[int] = mapped_column(default=0)
    raised_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_seen_at: Mapped[datetime] = mapped_column(default=utcnow)
