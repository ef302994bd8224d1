"""The ledger of files: each one that somebody began to hand in, and what became of it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model


class UploadStatus(StrEnum):
    """Receiving until the last byte is there; the rest is what became of the file."""

    RECEIVING = "receiving"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    INTERRUPTED = "interrupted"
    """It was begun and never finished; nothing of it is kept, and it can be sent again."""


class UploadWay(StrEnum):
    """How the bytes come."""

    FORM = "form"
    TUS = "tus"
    S3 = "s3"
    API = "api"
    WATCH = "watch"


class Upload(Model):
    """One file on its way in, or arrived. Rows stay as long as the event, so that every file can be accounted for."""

    __tablename__ = "upload"
    __table_args__ = (
        Index("ix_upload_event_status", "event_id", "status", "id"),
        Index("ix_upload_status_expires", "status", "expires_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    photo_id: Mapped[int | None] = mapped_column(ForeignKey("photo.id", ondelete="SET NULL"), index=True)
    """The photo that it became, or that it is a duplicate of."""
    filename: Mapped[str]
    way: Mapped[UploadWay] = mapped_column(word(UploadWay))
    status: Mapped[UploadStatus] = mapped_column(word(UploadStatus), default=UploadStatus.RECEIVING)
    reason: Mapped[str | None]
    """Why it was rejected."""
    byte_size: Mapped[int] = mapped_column(BigInteger, default=0)
    """As announced, then as it came."""
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes that are safe on our side."""
    blob_key: Mapped[str | None]
    """Where the bytes go that a browser sends straight to the store."""
    multipart_id: Mapped[str | None] = mapped_column(Text)
    """The store's own name of that upload."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime | None]
    """When an unfinished one is given up."""
    finished_at: Mapped[datetime | None]
