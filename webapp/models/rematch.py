"""A rematch of an event: who asked for it, and what came of it for each person whom it is about."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.columns import word
from webapp.db.extensions import Model


class RematchTrigger(StrEnum):
    """Why everybody is searched again."""

    REQUESTED = "requested"
    """Somebody pressed the button, or called the API."""
    CHILDREN = "children"
    """The event has many children now, or has not any more: other thresholds apply."""


class Rematch(Model):
    """One rematch of an event. Of those that have started only the latest is kept."""

    __tablename__ = "rematch"

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    trigger: Mapped[RematchTrigger] = mapped_column(word(RematchTrigger), default=RematchTrigger.REQUESTED)
    requested_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    """When its people were marked; null: it waits for a worker."""


class RematchPerson(Model):
    """A person whom a rematch is about, and what it changed for them. Who leaves the event is not counted any more."""

    __tablename__ = "rematch_person"

    rematch_id: Mapped[int] = mapped_column(ForeignKey("rematch.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True, index=True)
    mark: Mapped[int | None]
    """The person's `match_wanted` as the rematch left it: a computation that answers less began before it."""
    done_at: Mapped[datetime | None]
    failed: Mapped[bool] = mapped_column(default=False)
    """The computation gave up; what was found before still stands."""
    added: Mapped[int] = mapped_column(default=0)
    removed: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    """Matches that stayed with another similarity or band."""
    kept: Mapped[int] = mapped_column(default=0)
