"""Photos of an event and the pictures made of them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model
from webapp.models.claimable import Claimable


class PhotoStatus(StrEnum):
    """Where a photo is on its way; each state is shown to the photographer."""

    RECEIVING = "receiving"
    UPLOADED = "uploaded"
    INDEXING = "indexing"
    INDEXED = "indexed"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    ERASING = "erasing"
    """Deleted with many others: nobody is shown it any more, and a job erases what is left of it."""
    REPLACED = "replaced"
    """Another export of the shot took its place: kept for some days for the photographer alone, then erased."""


GONE = (PhotoStatus.ERASING, PhotoStatus.REPLACED)
"""States of photos that count nowhere and are in no list but their own."""


class RenditionKind(StrEnum):
    """The original as it came, what is made for screens while it is indexed, and what is made when first asked for."""

    ORIGINAL = "original"
    PREVIEW = "preview"
    THUMBNAIL = "thumbnail"
    PREVIEW_JPEG = "preview_jpeg"
    """The preview for programs that don't know its format; so is the next one the thumbnail."""
    THUMBNAIL_JPEG = "thumbnail_jpeg"
    WEB = "web"
    """What guests save where the photographer wants a watermark."""


class Photo(Claimable, Model):
    """One photo that somebody handed in."""

    __tablename__ = "photo"
    __table_args__ = (
        UniqueConstraint("event_id", "sha256"),
        Index("ix_photo_event_id", "event_id", "id"),
        Index("ix_photo_event_status", "event_id", "status"),
        # All that counting a search's progress reads, so that it never goes to the rows.
        Index("ix_photo_event_out", "event_id", "status", "published_at", "hidden_at"),
        Index("ix_photo_event_time", "event_id", "sorted_at", "id"),
        Index(
            "ix_photo_event_shown",
            "event_id",
            "sorted_at",
            "id",
            sqlite_where=text("shown_to_all IS 1"),
            postgresql_where=text("shown_to_all IS true"),
        ),
        Index("ix_photo_status_lease", "status", "lease_expires_at"),
        Index("ix_photo_event_shot", "event_id", "shot_key"),
        Index("ix_photo_event_indexed", "event_id", "indexed_at"),
        Index("ix_photo_event_created", "event_id", "created_at", "byte_size"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    uploaded_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    filename: Mapped[str]
    """As the uploader's device named it; shown, never used as a path."""
    sha256: Mapped[str | None]
    byte_size: Mapped[int] = mapped_column(BigInteger, default=0)
    width: Mapped[int | None]
    height: Mapped[int | None]
    placeholder: Mapped[str | None] = mapped_column(Text)
    """A tiny blurred picture as a data URI, shown until the thumbnail has loaded."""
    camera_id: Mapped[int | None] = mapped_column(ForeignKey("camera.id", ondelete="SET NULL"), index=True)
    camera_time: Mapped[str | None]
    """When it was taken as the camera's clock showed it: ISO 8601, with a zone only where the camera wrote one."""
    taken_at: Mapped[datetime | None]
    """The same as a moment: by the event's timezone and the camera's offset."""
    sorted_at: Mapped[datetime] = mapped_column(default=utcnow)
    """When it was taken where that is known, else when it came in: the order of galleries."""
    status: Mapped[PhotoStatus] = mapped_column(word(PhotoStatus), default=PhotoStatus.UPLOADED)
    failure_reason: Mapped[str | None]
    duplicate_of_id: Mapped[int | None] = mapped_column(ForeignKey("photo.id", ondelete="SET NULL"))
    shot_key: Mapped[str | None]
    """What exports of one shot have in common (camera and moment, hashed); null where that can't be told."""
    same_shot_as_id: Mapped[int | None] = mapped_column(ForeignKey("photo.id", ondelete="SET NULL"), index=True)
    """An earlier photo of the same shot, while nobody has said whether this one replaces it."""
    pixel_hash: Mapped[str | None]
    """Perceptual hash of the thumbnail in hex; null where none was made yet."""
    replaced_at: Mapped[datetime | None]
    replaced_by_id: Mapped[int | None] = mapped_column(ForeignKey("photo.id", ondelete="SET NULL"), index=True)
    """The photo that took this one's place and shows the other export of the shot."""
    replaced_sha256: Mapped[str | None]
    """The digest of a replaced photo, kept apart so that the same bytes can be handed in again."""
    faces_count: Mapped[int | None]
    published_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]
    shown_to_all: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    indexed_at: Mapped[datetime | None]

    renditions: Mapped[list["Rendition"]] = relationship(
        back_populates="photo", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def version(self) -> str | None:
        """Another word whenever the pictures may be others. It stands in their addresses, so that no browser shows one
        that it kept of a file that was replaced.
        """
        return f"{int(self.indexed_at.timestamp() * 1000):x}" if self.indexed_at is not None else None


class Rendition(Model):
    """One stored picture of a photo."""

    __tablename__ = "rendition"
    __table_args__ = (UniqueConstraint("photo_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photo.id", ondelete="CASCADE"))
    kind: Mapped[RenditionKind] = mapped_column(word(RenditionKind))
    blob_key: Mapped[str]
    content_type: Mapped[str]
    width: Mapped[int | None]
    height: Mapped[int | None]
    byte_size: Mapped[int] = mapped_column(BigInteger)

    photo: Mapped[Photo] = relationship(back_populates="renditions")
