"""Which of an event's photos somebody wants to see in the studio, and in which order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, select, tuple_

from webapp.db.columns import is_row_id
from webapp.models import Camera, Event, Match, Photo, PhotoStatus, User
from webapp.services.rules.visibility import is_theirs, is_there

ON_THEIR_WAY = (PhotoStatus.RECEIVING, PhotoStatus.UPLOADED, PhotoStatus.INDEXING)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """What stands beside the photos as one word to choose: where they are on their way, and who may see them."""

    READY = "ready"
    WORKING = "working"
    FAILED = "failed"
    UNPUBLISHED = "unpublished"
    SHARED = "shared"
    HIDDEN = "hidden"
    SAME_SHOT = "same-shot"


class Order(StrEnum):
    """By capture, the latest or the earliest first, or by arrival, the latest first."""

    LATEST = "latest"
    EARLIEST = "earliest"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the sorting moment and the row's key of its last photo."""

    sorted_at: datetime
    row_id: int

    @classmethod
    def of(cls, photo: Photo) -> "Place":
        return cls(photo.sorted_at, photo.id)

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """The place that `str()` wrote; None for anything else."""
        micros, _, row_id = text.partition(".")
        try:
            key = int(row_id)
            return cls(_EPOCH + timedelta(microseconds=int(micros)), key) if is_row_id(key) else None
        except (ValueError, OverflowError):
            return None

    def __str__(self) -> str:
        return f"{micros_of(self.sorted_at)}.{self.row_id}"


def micros_of(moment: datetime) -> int:
    """A moment as microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PhotoFilter:
    """What is wanted; None wherever it does not matter."""

    state: State | None = None
    faces: bool | None = None
    guests: bool | None = None
    uploader: str | None = None
    """The public id of who handed it in."""
    camera: str | None = None
    """The camera's public id."""
    order: Order = Order.LATEST

    @classmethod
    def read(cls, words: Any) -> "PhotoFilter":
        """From the words of an address or a form; what is none of ours counts as absent."""
        return cls(
            state=_one_of(State, words.get("state")),
            faces=_yes_no(words.get("faces")),
            guests=_yes_no(words.get("guests")),
            uploader=_short(words.get("by")),
            camera=_short(words.get("camera")),
            order=_one_of(Order, words.get("order")) or Order.LATEST,
        )

    @property
    def words(self) -> dict[str, str]:
        """The filter as words of an address: only what is not taken for granted."""
        said = {
            "state": self.state.value if self.state else None,
            "faces": _word(self.faces),
            "guests": _word(self.guests),
            "by": self.uploader,
            "camera": self.camera,
            "order": self.order.value if self.order is not Order.LATEST else None,
        }
        return {name: word for name, word in said.items() if word}

    @property
    def is_narrow(self) -> bool:
        """Whether it asks for more than a state."""
        return (self.faces, self.guests, self.uploader, self.camera) != (None, None, None, None)

    def condition(self, event: Event) -> ColumnElement[bool]:
        """That a photo of the event is wanted."""
        parts: list[ColumnElement[bool]] = [Photo.event_id == event.id, is_there()]
        if self.state is not None:
            parts.append(_in_state(self.state))
        if self.faces is not None:
            parts.append(Photo.faces_count > 0 if self.faces else Photo.faces_count == 0)
        if self.guests is not None:
            found = exists().where(Match.photo_id == Photo.id).where(is_theirs(event))
            parts.append(found if self.guests else and_(Photo.status == PhotoStatus.INDEXED, ~found))
        if self.uploader is not None:
            user = select(User.id).where(User.public_id == self.uploader).scalar_subquery()
            parts.append(Photo.uploaded_by_id == user)
        if self.camera is not None:
            camera = select(Camera.id).where(Camera.public_id == self.camera, Camera.event_id == event.id)
            parts.append(Photo.camera_id == camera.scalar_subquery())
        return and_(*parts)

    def sort(self, wanted: Select[Any], *, beyond: Place | None = None, backwards: bool = False) -> Select[Any]:
        """Put a select of photos in order, from a place on or, `backwards`, from there to the front."""
        falls = (self.order is not Order.EARLIEST) != backwards
        if self.order is Order.ARRIVAL:
            if beyond is not None:
                wanted = wanted.where(Photo.id < beyond.row_id if falls else Photo.id > beyond.row_id)
            return wanted.order_by(Photo.id.desc() if falls else Photo.id)
        if beyond is not None:
            # A row's comparison, since both databases walk an index by it.
            here, there = tuple_(Photo.sorted_at, Photo.id), (beyond.sorted_at, beyond.row_id)
            wanted = wanted.where(here < there if falls else here > there)
        columns = (Photo.sorted_at, Photo.id)
        return wanted.order_by(*(column.desc() if falls else column.asc() for column in columns))


def _in_state(state: State) -> ColumnElement[bool]:
    conditions: dict[State, ColumnElement[bool]] = {
        State.READY: Photo.status == PhotoStatus.INDEXED,
        State.WORKING: Photo.status.in_(ON_THEIR_WAY),
        State.FAILED: Photo.status == PhotoStatus.FAILED,
        State.UNPUBLISHED: Photo.published_at.is_(None),
        State.SHARED: Photo.shown_to_all.is_(True),
        State.HIDDEN: Photo.hidden_at.is_not(None),
        State.SAME_SHOT: Photo.same_shot_as_id.is_not(None),
    }
    return conditions[state]


def _one_of(kind: Any, word: str | None) -> Any:
    return kind(word) if word in [member.value for member in kind] else None


def _yes_no(word: str | None) -> bool | None:
    return {"yes": True, "no": False}.get(word or "")


def _word(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _short(word: str | None) -> str | None:
    """An id as it may come from an address."""
    return word if word and word.isascii() and word.isalnum() and len(word) <= 64 else None
