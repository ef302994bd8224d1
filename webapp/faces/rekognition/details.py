"""The service's FaceDetail in our terms."""

import math
from typing import Any

from webapp.faces.core.protocols import Box, DetectedFace
from webapp.faces.rekognition.pictures import Picture

LANDMARKS = (("eyeLeft", "eyeRight"), ("nose",), ("mouthLeft", "mouthRight"))

NOSE = 0.6
"""How far a nose stands out, in distances of the eyes: makes the head's angle the nose's way beside their middle."""

MOST_YAW = 85.0
"""Beyond these degrees a profile is a profile; the tangent would only run away."""

WEAK_SIZE = 50
"""Faces of fewer pixels can only be a maybe: the service sees them from 40 on, with little left of their features."""

WEAK_SHARPNESS = 10.0
"""The same for sharpness, 0 to 100. Amazon documents no bar for it; its quality filter takes the worst faces away."""


def describe(detail: dict[str, Any], picture: Picture, face_id: str | None = None) -> DetectedFace:
    """A face of a picture that was sent. face_id: where the service kept it."""
    bounds = detail["BoundingBox"]
    box = Box(*(float(bounds[side]) for side in ("Left", "Top", "Width", "Height")))
    size = round(max(box.width * picture.width, box.height * picture.height))
    quality = detail.get("Quality", {})
    sharpness = float(quality.get("Sharpness", 0.0))
    return DetectedFace(
        box=box,
        landmarks=_landmarks(detail.get("Landmarks", ())),
        score=float(detail.get("Confidence", 0.0)) / 100,
        size=size,
        quality=sharpness,
        turn=turn(float(detail.get("Pose", {}).get("Yaw", 0.0))),
        blur=sharpness,
        light=float(quality.get("Brightness", 0.0)) * 2.55,
        weak=size < WEAK_SIZE or sharpness < WEAK_SHARPNESS,
        vector=None,
        external_id=face_id,
    )


def turn(yaw: float) -> float:
    """How far the nose is beside the middle of the eyes, in their distances. yaw: the head's angle in degrees."""
    return NOSE * math.tan(math.radians(min(abs(yaw), MOST_YAW)))


def _landmarks(found: Any) -> tuple[tuple[float, float], ...]:
    """Eye, eye, nose, mouth corner, mouth corner; eyes and corners from the picture's left to its right."""
    places = {point["Type"]: (float(point["X"]), float(point["Y"])) for point in found}
    if any(name not in places for group in LANDMARKS for name in group):
        return ()
    return tuple(place for group in LANDMARKS for place in sorted(places[name] for name in group))
