"""The quality filter: which faces are too poor to be indexed or searched with, and the service's word for why.

AWS documents the reasons and the smallest size, not the bars. These bars are this server's own, on the figures that it
answers with; LOW lets pass what the local engine can use.
"""

from dataclasses import dataclass

from tests.cloud.rekognition.engine import SeenFace


@dataclass(frozen=True, slots=True)
class Bar:
    """What a face has to reach."""

    sizes: float
    """Its longer side, in smallest documented sides."""
    confidence: float
    brightness: float
    sharpness: float
    yaw: float
    """The most, in degrees to either side."""
    clearness: float


LOW = Bar(sizes=1.0, confidence=65, brightness=12, sharpness=6, yaw=60, clearness=7.0)
BARS = {
    "AUTO": LOW,
    "LOW": LOW,
    "MEDIUM": Bar(sizes=1.5, confidence=75, brightness=20, sharpness=10, yaw=50, clearness=9.0),
    "HIGH": Bar(sizes=2.0, confidence=85, brightness=25, sharpness=20, yaw=35, clearness=10.5),
}


def reasons(face: SeenFace, level: str) -> list[str]:
    """Why the face does not pass; empty if it does. level: of the service's QualityFilter."""
    if level == "NONE":
        return []
    bar = BARS[level]
    found = {
        "SMALL_BOUNDING_BOX": face.side < bar.sizes * face.least_side,
        "LOW_CONFIDENCE": face.confidence < bar.confidence,
        "LOW_BRIGHTNESS": face.brightness < bar.brightness,
        "LOW_SHARPNESS": face.sharpness < bar.sharpness,
        "EXTREME_POSE": abs(face.yaw) > bar.yaw,
        "LOW_FACE_QUALITY": face.clearness < bar.clearness,
    }
    return [reason for reason, holds in found.items() if holds]
