"""The selfie gate of this engine: the service's figures and reasons in the words of REASONS.

The limits follow those of the local engine where both measure the same thing (size and turn of the head); light and
sharpness are on scales that Amazon documents no bars for, so they only catch what its quality filter lets pass by far.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from webapp.faces.protocols import Angle, DetectedFace, Frame
from webapp.faces.rekognition.details import area

LEAST_SHARE = 0.125
"""The longer side of the face's box over the picture's: 80 pixels of 640."""

BYSTANDER = 0.15
"""A second face of at least this share of the dominant one's area makes it unclear whose selfie it is."""

MOST_TURN: dict[Angle, float] = {"front": 0.4, "left": 0.8, "right": 0.8}
"""33 and 53 degrees."""

LEAST_LIGHT, MOST_LIGHT = 40.0, 247.0
LEAST_SHARPNESS = 8.0

BLACK, WHITE = 25.0, 235.0
"""Mean luma of a whole picture beyond which nobody could see who is in it."""

REASONS_OF_SERVICE = {
    "SMALL_BOUNDING_BOX": "too_small",
    "LOW_BRIGHTNESS": "too_dark",
    "EXTREME_POSE": "turned_away",
    "LOW_SHARPNESS": "blurred",
    "LOW_FACE_QUALITY": "unclear",
    "LOW_CONFIDENCE": "unclear",
}
"""Why a face was not kept, the plainest cause first. EXCEEDS_MAX_FACES is none: it only says that there are more."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A face of a selfie, and what the service has against it."""

    face: DetectedFace
    reasons: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return self.face.external_id is not None


def judge(seen: Sequence[Seen], picture_side: int, angle: Angle) -> str | None:
    """What is wrong with a selfie in which these faces, at least one, were seen; None if it serves.

    picture_side: the longer side of the picture that was sent, in pixels.
    """
    dominant = max(seen, key=lambda one: area(one.face))
    if _is_contested(seen, dominant):
        return "several_faces"
    if not dominant.kept:
        return _of_service(dominant)
    return _of_figures(dominant.face, picture_side, angle)


def explain_absence(frame: Frame) -> str:
    """The honest word where no face was seen at all. frame: (height, width, 3), RGB."""
    luma = frame[::4, ::4].astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    if float(luma.max()) == float(luma.min()):
        return "no_face"
    mean = float(luma.mean())
    if mean < BLACK:
        return "too_dark"
    return "too_bright" if mean > WHITE else "no_face"


def _is_contested(seen: Sequence[Seen], dominant: Seen) -> bool:
    """Whether another face is large enough to be the one that is meant.

    Whoever is cut by the picture's edge, looks far away or is hardly a face at all did not take this selfie.
    """
    return any(
        area(one.face) >= BYSTANDER * area(dominant.face)
        for one in seen
        if one is not dominant
        and not set(one.reasons) & set(REASONS_OF_SERVICE)
        and _is_within(one.face)
        and one.face.turn < max(MOST_TURN.values())
    )


def _of_service(dominant: Seen) -> str:
    return next((ours for theirs, ours in REASONS_OF_SERVICE.items() if theirs in dominant.reasons), "unclear")


def _of_figures(face: DetectedFace, picture_side: int, angle: Angle) -> str | None:
    if face.size < LEAST_SHARE * picture_side:
        return "too_small"
    if not _is_within(face):
        return "unclear"
    if face.light < LEAST_LIGHT:
        return "too_dark"
    if face.light > MOST_LIGHT:
        return "too_bright"
    if face.turn >= MOST_TURN[angle]:
        return "turned_away"
    return "blurred" if face.blur < LEAST_SHARPNESS else None


def _is_within(face: DetectedFace) -> bool:
    return all(0 <= x <= 1 and 0 <= y <= 1 for x, y in face.landmarks)
