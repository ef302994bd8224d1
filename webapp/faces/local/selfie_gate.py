"""The selfie gate: which pictures serve as a probe, and which word of REASONS says why one does not.

A probe of poor quality would find strangers or nobody for the whole event, so it is cheaper to ask for another one.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from webapp.faces.core import selfie_rules
from webapp.faces.core.protocols import Angle, Box, DetectedFace, Frame, SeenFace
from webapp.faces.core.selfie_rules import Limits, area

SMALLEST = 80
"""Pixels of the longer side of the box in the 640 px frame."""

LEAST_QUALITY = 10.5
LIMITS = Limits(size=SMALLEST, light=(50.0, 220.0), sharpness=10.0)

GLARE = 165.0
"""A face that is this bright and unclear has lost its features to the light."""

WORTH_TURNING = frozenset({"no_face", "turned_away", "unclear"})
"""Refusals that a picture lying on its side would get although it is good."""

TURNED_SCORE = 0.8
"""A face in a turned picture must be surer: three more looks are three more chances to see one where there is none."""

SURE_SCORE = 0.9
"""Without a template, a second face must be this sure: what the template's length unmasks as no face hardly ever is."""


def is_contested(faces: Sequence[SeenFace]) -> bool:
    """Whether a second face is large enough to be the one that is meant."""
    largest = max(faces, key=area)
    return selfie_rules.is_contested(largest, (face for face in faces if face is not largest))


def judge(face: DetectedFace, angle: Angle) -> str | None:
    """What is wrong with the dominant face, the plainest cause first; None if it serves."""
    reason = judge_sight(face, angle)
    if reason is None and face.quality < LEAST_QUALITY:
        return "too_bright" if face.light > GLARE else "unclear"
    return reason


def judge_sight(face: SeenFace, angle: Angle) -> str | None:
    """The same, as far as it can be seen without a template."""
    return selfie_rules.judge(face, angle, LIMITS)


def explain_absence(frame: Frame, seen_when_lit: bool) -> str:
    """The honest word where no face was found. seen_when_lit: whether one appears once the light is stretched."""
    brightness = _luma(frame)
    mean = float(brightness.mean())
    if seen_when_lit:
        return "too_dark" if mean < 128 else "too_bright"
    if int(brightness.max()) == int(brightness.min()):
        return "no_face"
    return selfie_rules.explain_absence(mean)


def stretch(frame: Frame) -> Frame | None:
    """The picture with its light spread over the whole range, or None where there is nothing to spread."""
    low, high = np.percentile(_luma(frame), (1, 99))
    if high - low < 4 or (low < 30 and high > 200):
        return None
    wide = (frame.astype(np.float32) - low) * (255 / (high - low))
    return np.asarray(np.clip(wide, 0, 255), dtype=np.uint8)


def turn_back(face: DetectedFace, turns: int) -> DetectedFace:
    """A face of the picture turned by `turns` quarters against the clock (numpy.rot90), in the picture as it was."""
    points = [_point_back(x, y, turns) for x, y in face.landmarks]
    corners = [
        _point_back(x, y, turns)
        for x in (face.box.x, face.box.x + face.box.width)
        for y in (face.box.y, face.box.y + face.box.height)
    ]
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    right, bottom = max(x for x, _ in corners), max(y for _, y in corners)
    return replace(face, box=Box(left, top, right - left, bottom - top), landmarks=tuple(points))


def _point_back(x: float, y: float, turns: int) -> tuple[float, float]:
    for _ in range(turns % 4):
        x, y = 1 - y, x
    return x, y


def _luma(frame: Frame) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
