"""Faces found in photos, and their vectors for each engine."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.extensions import Model


class Face(Model):
    """One face of a photo: where it is and how good it is. Boxes are relative to the upright photo, 0 to 1."""

    __tablename__ = "face"
    __table_args__ = (UniqueConstraint("photo_id", "ordinal"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photo.id", ondelete="CASCADE"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    ordinal: Mapped[int]
    box_x: Mapped[float]
    box_y: Mapped[float]
    box_width: Mapped[float]
    box_height: Mapped[float]
    landmarks: Mapped[list[list[float]]]
    score: Mapped[float]
    size: Mapped[int]
    quality: Mapped[float]
    turn: Mapped[float]
    blur: Mapped[float]
    light: Mapped[float]
    weak: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class FaceVector(Model):
    """A face as one engine sees it: a float16 vector, or the reference of a service. Kept for each engine and version,
    so that the old set serves until a new one is complete.
    """

    __tablename__ = "face_vector"
    __table_args__ = (
        UniqueConstraint("face_id", "engine", "version"),
        Index("ix_face_vector_event", "event_id", "engine", "version", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    face_id: Mapped[int] = mapped_column(ForeignKey("face.id", ondelete="CASCADE"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    engine: Mapped[str]
    version: Mapped[str]
    vector: Mapped[bytes | None]
    external_id: Mapped[str | None]
