"""What a face engine does, whichever it is.

Boxes and landmarks are relative to the upright picture (0 to 1), so that they hold for every rendition.
Pictures come in as arrays that `webapp.imaging` decoded: engines never open files.
"""

from collections.abc import Sequence
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
class DetectedFace:
    """One face of a picture and how good it is."""

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    """Eye, eye, nose, mouth corner, mouth corner, each (x, y), relative, from the picture's left to its right."""
    score: float
    """The detector's confidence, 0 to 1."""
    size: int
    """The longer side of the box in pixels of the frame in which it was detected."""
    quality: float
    """The length of the embedding before it was normalised (local engine), or the service's own score."""
    turn: float
    """How far the head is turned: distance of the nose from the middle of the eyes over the distance of the eyes."""
    blur: float
    """Variance of the Laplacian of the aligned crop: low is blurred."""
    light: float
    """Mean luma of the aligned crop, 0 to 255."""
    weak: bool
    """Too small or unclear to be more than a maybe."""
    vector: Vector | None
    external_id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SelfieCheck:
    """The verdict on a selfie: either a face, or a reason of REASONS."""

    face: DetectedFace | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A face of the event that resembles the probe. `face_id` is the caller's own key."""

    face_id: int
    similarity: float


class FaceAnalyzer(Protocol):
    """Finds faces in pictures and says how good they are."""

    engine: str
    version: str

    def photo_faces(self, frame: Frame) -> list[DetectedFace]:
        """All faces of a photo that are large enough to be indexed, the largest first."""
        ...

    def check_selfie(self, frame: Frame, angle: Angle = "front") -> SelfieCheck:
        """Judge a selfie: one dominant face, near, sharp, lit and turned as asked."""
        ...


class FaceIndex(Protocol):
    """Finds the faces of an event that resemble a probe."""

    def add(self, event_id: int, face_ids: Sequence[int], vectors: npt.NDArray[np.float32]) -> None:
        """Add faces: keys and a matrix of (faces, dimensions)."""
        ...

    def remove(self, event_id: int, face_ids: Sequence[int]) -> None:
        """Forget faces; unknown keys are no error."""
        ...

    def drop(self, event_id: int) -> None:
        """Forget all faces of an event."""
        ...

    def search(self, event_id: int, probes: npt.NDArray[np.float32], floor: float) -> list[Hit]:
        """All faces whose best cosine against any probe is at least `floor`, best first; never capped.

        probes: (n, dimensions), L2-normalised.
        """
        ...
