"""Selfies: the probes with which people are searched."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model
from webapp.models.claimable import Claimable
from webapp.models.membership import Person


class SelfieStatus(StrEnum):
    """Where a selfie is on its way; each state is shown to the guest."""

    RECEIVED = "received"
    CHECKING = "checking"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"


class SelfieSource(StrEnum):
    """Where a selfie comes from, as the sender's browser says. A hint: anybody can send another value."""

    CAMERA = "camera"
    FILE = "file"
    UNKNOWN = "unknown"


class Selfie(Claimable, Model):
    """One picture that a person handed in of themselves."""

    __tablename__ = "selfie"
    __table_args__ = (
        Index("ix_selfie_person", "person_id", "id"),
        Index("ix_selfie_status_lease", "status", "lease_expires_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    angle: Mapped[str] = mapped_column(default="front")
    """front, left or right."""
    adds: Mapped[bool] = mapped_column(default=False)
    """A further angle beside the others; otherwise it takes their place once it is accepted."""
    status: Mapped[SelfieStatus] = mapped_column(word(SelfieStatus), default=SelfieStatus.RECEIVED)
    reason: Mapped[str | None]
    blob_key: Mapped[str]
    content_type: Mapped[str]
    source: Mapped[SelfieSource] = mapped_column(
        word(SelfieSource), default=SelfieSource.UNKNOWN, server_default="unknown"
    )
    """Where the sender's browser says that the picture comes from."""
    device: Mapped[str | None]
    """The device that sent it (`webapp.web.access.devices`); null for API clients."""
    network: Mapped[str | None]
    """Keyed hash of the network address that it came from (`webapp.web.access.network`). Erased after some days."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    decided_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    """Replaced by a newer one: no longer searched with."""
    pictures_erased_at: Mapped[datetime | None]
    """From then on only the row is left: the pictures of a selfie that was refused or replaced go before it."""

    person: Mapped[Person] = relationship()


class SelfieVector(Model):
    """An accepted selfie as one engine sees it."""

    __tablename__ = "selfie_vector"
    __table_args__ = (UniqueConstraint("selfie_id", "engine", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    selfie_id: Mapped[int] = mapped_column(ForeignKey("selfie.id", ondelete="CASCADE"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    engine: Mapped[str]
    version: Mapped[str]
    vector: Mapped[bytes | None]
    external_id: Mapped[str | None]
    quality: Mapped[float]
