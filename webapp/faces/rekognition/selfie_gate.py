"""The selfie gate of this engine: the service's figures and reasons in the words of REASONS.

The limits follow those of the local engine where both measure the same thing (size and turn of the head); light and
sharpness are on scales that Amazon documents no bars for, so they only catch what its quality filter lets pass by far.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from webapp.faces.core import selfie_rules
from webapp.faces.core.protocols import Angle, DetectedFace, Frame
from webapp.faces.core.selfie_rules import Limits, area

LEAST_SHARE = 0.125
"""The longer side of the face's box over the picture's: 80 pixels of 640."""

LIGHT = (40.0, 247.0)
LEAST_SHARPNESS = 8.0

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
    return selfie_rules.judge(dominant.face, angle, Limits(LEAST_SHARE * picture_side, LIGHT, LEAST_SHARPNESS))


def explain_absence(frame: Frame) -> str:
    """The honest word where no face was seen at all. frame: (height, width, 3), RGB."""
    luma = frame[::4, ::4].astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    if float(luma.max()) == float(luma.min()):
        return "no_face"
    mean = float(luma.mean())
    return selfie_rules.explain_absence(mean)


def _is_contested(seen: Sequence[Seen], dominant: Seen) -> bool:
    """Whether another face is large enough to be the one that is meant. One that is hardly a face at all is not."""
    others = (one.face for one in seen if one is not dominant and not set(one.reasons) & set(REASONS_OF_SERVICE))
    return selfie_rules.is_contested(dominant.face, others)


def _of_service(dominant: Seen) -> str:
    return next((ours for theirs, ours in REASONS_OF_SERVICE.items() if theirs in dominant.reasons), "unclear")
