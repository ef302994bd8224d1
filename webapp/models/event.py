"""An event: what the photographer made and guests join."""

import secrets
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model
from webapp.models.membership import Membership

JOIN_DAYS = 14
"""Of a new event."""


def new_join_token() -> str:
    """Return 96 random bits."""
    return secrets.token_urlsafe(12)


class EventStatus(StrEnum):
    """Closed: no more joins and uploads; galleries stay readable."""

    OPEN = "open"
    CLOSED = "closed"


class Event(Model):
    """One wedding, race or gala."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    code: Mapped[str]
    """As shown to people."""
    code_key: Mapped[str] = mapped_column(unique=True)
    """The code for comparison: without spaces and hyphens, upper case."""
    join_token: Mapped[str] = mapped_column(unique=True, default=new_join_token)
    """What QR codes and join links carry beside the code; another one with every other code."""
    name: Mapped[str]
    date: Mapped[date]
    place: Mapped[str] = mapped_column(default="")
    timezone: Mapped[str] = mapped_column(default="UTC")
    status: Mapped[EventStatus] = mapped_column(word(EventStatus), default=EventStatus.OPEN)
    closed_at: Mapped[datetime | None]
    language: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """In which guests are met who have not chosen one; empty: their browser's."""
    accent: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """The event's colour as #rrggbb; empty: ours."""
    cover_key: Mapped[str | None]
    """The blob of the cover picture."""
    cover_small_key: Mapped[str | None]
    """Its small copy for phones; covers from before there were any have none."""
    approval: Mapped[bool] = mapped_column(default=False, server_default=false())
    """New photos wait until somebody publishes them."""
    watermark: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """What is written across web-size downloads; empty: nothing."""
    engine: Mapped[str]
    """The face engine whose vectors this event is searched with."""
    engine_version: Mapped[str]
    sure_threshold: Mapped[float | None]
    """Null: the installation's."""
    maybe_threshold: Mapped[float | None]
    templates_revision: Mapped[int] = mapped_column(default=0)
    """Moves whenever somebody's selfie vectors or confirmed faces change."""
    removals_revision: Mapped[int] = mapped_column(default=0)
    """Moves when vectors go, so that a matrix in memory knows that it has to be built anew."""
    many_children: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Children's faces are easily taken for one another: thresholds are stricter, and every match is asked about."""
    admits_guests: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Who joins waits until the owner or the team admits them; before that nobody is searched for."""
    join_days: Mapped[int | None] = mapped_column(default=JOIN_DAYS)
    """For how many days after the event people can join; null: joining doesn't end by itself."""
    call_limit: Mapped[int | None]
    """Billable calls that the event may make; null: the installation's limit."""
    reconcile_requested_at: Mapped[datetime | None]
    """Somebody wants what a face service keeps of the event to be compared with the rows here."""
    ready_at: Mapped[datetime | None]
    """Set: guests who asked for it are mailed that there are photos of them."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    memberships: Mapped[list[Membership]] = relationship(
        back_populates="event", cascade="all, delete-orphan", passive_deletes=True, order_by="Membership.id"
    )
