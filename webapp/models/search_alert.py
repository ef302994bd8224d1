"""Alerts for the photographer: somebody may be searching for other people's photos."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model


class AlertKind(StrEnum):
    """Reasons for an alert."""

    ACCOUNT_FACES = "account_faces"
    """One account handed in the faces of several people."""
    DEVICE_FACES = "device_faces"
    """Accounts of many different people were made on one device."""
    LATE_JOINS = "late_joins"
    """Many joined from one network after the event's day, with selfies from files. Stops nobody."""


class AlertDecision(StrEnum):
    """Answers of the photographer."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class SearchAlert(Model):
    """One alert. `subject` says what it is about: an account, a device, or the event; it has one open alert at most."""

    __tablename__ = "search_alert"
    __table_args__ = (
        Index(
            "uq_search_alert_open",
            "event_id",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("decided_at IS NULL"),
            postgresql_where=text("decided_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    kind: Mapped[AlertKind] = mapped_column(word(AlertKind))
    subject: Mapped[str]
    """The device's hash; the membership's row id; empty for an alert about the whole event."""
    raised_at: Mapped[datetime] = mapped_column(default=utcnow)
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    decision: Mapped[AlertDecision | None] = mapped_column(word(AlertDecision))


class SearchAlertMember(Model):
    """An account that an alert concerns."""

    __tablename__ = "search_alert_member"

    alert_id: Mapped[int] = mapped_column(ForeignKey("search_alert.id", ondelete="CASCADE"), primary_key=True)
    membership_id: Mapped[int] = mapped_column(
        ForeignKey("membership.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    stopped: Mapped[bool]
    """The alert stopped the search for this account; the others are only shown with it."""


class DeviceFaces(Model):
    """How many different people's selfies a device handed in at an event; a plain count that erasing does not lower."""

    __tablename__ = "device_faces"

    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    faces: Mapped[int] = mapped_column(default=0)
    drift: Mapped[float] = mapped_column(default=0.0)
    """How far the faces have moved from selfie to selfie that each counted as somebody known; a plain sum as well."""
