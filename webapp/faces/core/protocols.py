"""What a face engine does, whichever it is.

Boxes and landmarks are relative to the upright picture (0 to 1), so that they hold for every rendition.
Pictures come in as arrays that `webapp.pictures.imaging` decoded: engines never open files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
"""A decoded, upright picture: (height, width, 3), RGB, 0 to 255."""

Vector = npt.NDArray[np.float32]
"""One embedding, L2-normalised: (dimensions,)."""

Angle = Literal["front", "left", "right"]

REASONS = (
    "unreadable",
    "no_face",
    "several_faces",
    "too_small",
    "turned_away",
    "blurred",
    "too_dark",
    "too_bright",
    "unclear",
)
"""Why a selfie can be refused; each has a sentence in `webapp.services.reasons`."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle relative to the picture: left, top, width and height from 0 to 1."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """What is seen of one face of a picture, without anything by which the person could be known again."""

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    """Eye, eye, nose, mouth corner, mouth corner, each (x, y), relative, from the picture's left to its right."""
    score: float
    """The detector's confidence, 0 to 1."""
    size: int
    """The longer side of the box in pixels of the frame in which it was detected."""
    turn: float
    """How far the head is turned: distance of the nose from the middle of the eyes over the distance of the eyes."""
    blur: float
    """Variance of the Laplacian of the aligned crop: low is blurred."""
    light: float
    """Mean luma of the aligned crop, 0 to 255."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace(SeenFace):
    """One face of a picture, how good it is, and what it is matched by."""

    quality: float
    """The length of the embedding before it was normalised (local engine), or the service's own score."""
    weak: bool
    """Too small or unclear to be more than a maybe."""
    vector: Vector | None
    external_id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SelfieCheck:
    """The verdict on a selfie: either a face, or a reason of REASONS."""

    face: DetectedFace | None
    reason: str | None


FaceKey = int | str
"""Names a face in a gallery: our own number where we hold the vectors, the service's id where it keeps faces."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Faces that are searched as one: those of an event's photos, or those of its guests."""

    event_id: int
    event_key: str
    """The event's public id: names what a service keeps, and says whose bill a call goes on."""
    kind: Literal["photos", "guests"] = "photos"


@dataclass(frozen=True, slots=True)
class Keep:
    """Where a service that keeps faces puts those of a picture, and under which name of ours."""

    gallery: Gallery
    name: str
    """The public id of the photo, selfie or person."""
    again: bool = False
    """An earlier try may have put them there already, so what lies under this name has to go first."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What is searched with: an engine takes the first of these that it can use."""

    vector: Vector | None = None
    key: FaceKey | None = None
    """A face of the same gallery."""
    picture: bytes | None = None
    """A JPEG of one face with some of its surroundings."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A face of a gallery that resembles a probe, on the engine's own scale from 0 to 1."""

    face_id: FaceKey
    similarity: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, best first."""

    hits: list[Hit]
    capped: bool = False
    """The service cut its answer: there are more. Local searches never are."""


class Meter(Protocol):
    """Counts billable calls, whoever keeps the books."""

    def allow(self, event_key: str, operation: str) -> None:
        """Called before a billable call.

        Raises:
            LimitReached: the event has used up its calls.
        """
        ...

    def count(self, event_key: str, operation: str, calls: int = 1) -> None:
        """Called after each one that was, or may have been, carried out."""
        ...


class FaceAnalyzer(Protocol):
    """Finds faces in pictures and says how good they are."""

    engine: str
    frame_side: int
    """The long side in pixels that frames of photos should have if the photo has it: what is larger is not used."""

    def photo_faces(self, frame: Frame, keep: Keep | None = None) -> list[DetectedFace]:
        """All faces of a photo that are large enough to be indexed, the largest first.

        A service keeps them as `keep` says and names each by its `external_id`; where we hold vectors it is of no
        account.

        Raises:
            Transient: the service is away or busy.
            Invalid: the service can't take this picture.
            LimitReached: the event has used up its calls.
        """
        ...

    def check_selfie(self, frame: Frame, angle: Angle = "front", keep: Keep | None = None) -> SelfieCheck:
        """Judge a selfie: one dominant face, near, sharp, lit and turned as asked. Only an accepted one is kept."""
        ...


class SelfieOnlooker(Protocol):
    """Looks at a selfie before its person has agreed to anything: finds faces, computes no template, keeps nothing."""

    def look_at_selfie(self, frame: Frame, angle: Angle = "front") -> str | None:
        """What can be seen to be wrong with a selfie, as a word of REASONS. None promises nothing: `check_selfie` can
        still refuse the picture.
        """
        ...


class FaceIndex(Protocol):
    """Finds the faces of a gallery that resemble a probe."""

    keeps_faces: bool
    """Whether a service keeps the faces: then analyzers add them, and no vector is ever seen here."""

    def prepare(self, gallery: Gallery) -> str:
        """Make sure that the event's galleries are there; returns the version of the model that they hold faces of."""
        ...

    def add(self, gallery: Gallery, keys: Sequence[int], vectors: npt.NDArray[np.float32]) -> None:
        """Add faces: our keys and a matrix of (faces, dimensions). Not for services, whose analyzer adds them."""
        ...

    def remove(self, gallery: Gallery, keys: Sequence[FaceKey]) -> None:
        """Forget faces; unknown keys are no error."""
        ...

    def drop(self, gallery: Gallery) -> None:
        """Forget the whole gallery; one that is not there is no error."""
        ...

    def search(self, gallery: Gallery, probes: Sequence[Probe], floor: float) -> SearchResult:
        """All faces whose best similarity to any probe is at least `floor`, best first."""
        ...

    def contents(self, gallery: Gallery) -> Iterator[tuple[FaceKey, str]]:
        """Every face that is kept, and the name that it was kept under (empty where we hold the vectors).

        Raises:
            NotFound: a service has no such gallery.
        """
        ...


@dataclass(frozen=True, slots=True)
class UserHit:
    """A person whose user vector resembles a probe."""

    user_id: str
    similarity: float


class UserVectors(Protocol):
    """What some services can do besides: make one vector of several pictures of a person, among an event's guests."""

    def make_user(self, gallery: Gallery, user_id: str, keys: Sequence[str]) -> None:
        """Make the person's vector of exactly these faces of the gallery; safe to repeat.

        Raises:
            NotFound: a face is not in the gallery.
        """
        ...

    def remove_user(self, gallery: Gallery, user_id: str) -> None:
        """Forget the person's vector, not the faces; one that is not there is no error."""
        ...

    def search_users(self, gallery: Gallery, probe: Probe, floor: float) -> list[UserHit]:
        """The people whose vectors resemble the probe, best first."""
        ...

    def users(self, gallery: Gallery) -> Iterator[str]:
        """Everybody who has a vector."""
        ...
