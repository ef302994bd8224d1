"""That a face is a person's, how sure we are, and what the person says."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model
from webapp.models.face import Face
from webapp.models.membership import Person


class Band(StrEnum):
    """Sure ones are shown, maybes are asked about; `none` stays only for the verdict that it carries."""

    SURE = "sure"
    MAYBE = "maybe"
    NONE = "none"


class Verdict(StrEnum):
    """What the person said of it; outlives every rematch."""

    NONE = "none"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Match(Model):
    """face × person."""

    __tablename__ = "match"
    __table_args__ = (
        UniqueConstraint("face_id", "person_id"),
        Index("ix_match_person", "person_id", "band", "verdict"),
        # All that an event's counts read of matches, from either side, so that they never go to the rows.
        Index("ix_match_person_photo", "person_id", "photo_id", "band", "verdict"),
        Index("ix_match_photo", "photo_id", "band", "verdict"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    face_id: Mapped[int] = mapped_column(ForeignKey("face.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    photo_id: Mapped[int] = mapped_column(ForeignKey("photo.id", ondelete="CASCADE"))
    similarity: Mapped[float]
    band: Mapped[Band] = mapped_column(word(Band))
    verdict: Mapped[Verdict] = mapped_column(word(Verdict), default=Verdict.NONE)
    decided_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    face: Mapped[Face] = relationship()
    person: Mapped[Person] = relationship()


class KeptVerdict(Model):
    """What a person said of a face of a replaced photo: a match again when the photo is brought back.

    Not a match meanwhile, so that nothing that counts or shows matches meets one of a photo that is hidden.
    """

    __tablename__ = "kept_verdict"
    __table_args__ = (UniqueConstraint("face_id", "person_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    face_id: Mapped[int] = mapped_column(ForeignKey("face.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    similarity: Mapped[float]
    band: Mapped[Band] = mapped_column(word(Band))
    verdict: Mapped[Verdict] = mapped_column(word(Verdict))
    decided_at: Mapped[datetime | None]


class ConfirmedVector(Model):
    """A face that a person said is theirs, as a service keeps it among the guests' faces."""

    __tablename__ = "confirmed_vector"
    __table_args__ = (UniqueConstraint("person_id", "face_id", "engine", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    face_id: Mapped[int] = mapped_column(ForeignKey("face.id", ondelete="CASCADE"), index=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    engine: Mapped[str]
    version: Mapped[str]
    external_id: Mapped[str]
    """Empty: the service sees no face there, and is not asked again."""


class UserScore(Model):
    """How alike a face is to a person's user vector, as a service said: asked once, since each question is billed."""

    __tablename__ = "user_score"

    face_id: Mapped[int] = mapped_column(ForeignKey("face.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True, index=True)
    user_key: Mapped[str]
    """The user vector that was asked: the person's `user_key` of that moment."""
    similarity: Mapped[float]
