"""The selfie gate's rules that hold for every engine; each engine's own gate gives the limits on its scales."""

from collections.abc import Iterable
from dataclasses import dataclass

from webapp.faces.core.protocols import Angle, SeenFace

BYSTANDER = 0.15
"""A second face of at least this share of the dominant one's area makes it unclear whose selfie it is."""

MOST_TURN: dict[Angle, float] = {"front": 0.4, "left": 0.8, "right": 0.8}
"""How far the nose is beside the middle of the eyes, in their distances: 33 and 53 degrees."""

BLACK, WHITE = 25.0, 235.0
"""Mean luma of a whole picture beyond which nobody could see who is in it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a face must reach, on the scales of the engine that found it."""

    size: float
    """Pixels of the longer side of the box."""
    light: tuple[float, float]
    """The least and the most."""
    sharpness: float


def judge(face: SeenFace, angle: Angle, limits: Limits) -> str | None:
    """What is wrong with the dominant face, the plainest cause first, as a word of REASONS; None if it serves."""
    if face.size < limits.size:
        return "too_small"
    if not is_within(face):
        # Eyes or mouth beyond the picture's edge are guesses of the detector.
        return "unclear"
    if face.light < limits.light[0]:
        return "too_dark"
    if face.light > limits.light[1]:
        return "too_bright"
    if face.turn >= MOST_TURN[angle]:
        return "turned_away"
    return "blurred" if face.blur < limits.sharpness else None


def is_contested(dominant: SeenFace, others: Iterable[SeenFace]) -> bool:
    """Whether one of the other faces is large enough to be the one that is meant.

    A face that is cut by the picture's edge or looks far away did not take this selfie, however near it is.
    """
    return any(
        area(face) >= BYSTANDER * area(dominant)
        for face in others
        if is_within(face) and face.turn < max(MOST_TURN.values())
    )


def explain_absence(mean_luma: float) -> str:
    """The word of REASONS where a picture that is not of one brightness all over shows no face."""
    if mean_luma < BLACK:
        return "too_dark"
    return "too_bright" if mean_luma > WHITE else "no_face"


def area(face: SeenFace) -> float:
    """The share of the picture that the face's box covers."""
    return face.box.width * face.box.height


def is_within(face: SeenFace) -> bool:
    """Whether all landmarks are inside the picture."""
    return all(0 <= x <= 1 and 0 <= y <= 1 for x, y in face.landmarks)
