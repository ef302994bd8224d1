"""Cameras at an event, whose clocks may be wrong."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.columns import new_public_id
from webapp.db.extensions import Model


class Camera(Model):
    """One camera body among an event's photos, and how far its clock is off."""

    __tablename__ = "camera"
    __table_args__ = (UniqueConstraint("event_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    key: Mapped[str]
    """A hash of maker, model and serial number, so that two bodies of one model are told apart; no serial is kept."""
    name: Mapped[str]
    """Maker and model, as shown."""
    offset_seconds: Mapped[int] = mapped_column(default=0)
    """What is added to its clock to get the event's time."""
