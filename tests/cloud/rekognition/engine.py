"""Sees faces with the local engine, and says what it sees in Rekognition's terms, on a scale of this server's own."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock

import numpy as np

from tests.cloud.rekognition.pictures import decode
from tests.cloud.rekognition.wire import Message
from webapp.faces.core.protocols import DetectedFace, Vector
from webapp.faces.local.analyzer import LocalFaceAnalyzer

SCALE = ((0.0, 0.0), (0.42, 80.0), (0.55, 95.0), (1.0, 100.0))
"""Cosine of SFace's vectors and the similarity that it becomes, straight lines between.

At the local engine's thresholds for "maybe" and "sure" it gives the ones that are set for Rekognition, so that both
engines bring the same decisions about the same faces. It says nothing about the real service's scale.
"""

LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
"""Left and right are the picture's, as in the service's answers."""

HALF_SHARP = 100.0
"""The variance of the Laplacian that counts as a sharpness of 50."""

NOSE = 0.6
"""How far the nose stands out, in distances of the eyes: makes an angle of the nose's way beside their middle."""

LEVEL = 0.49
"""Where the nose of a level head is between eyes (0) and mouth (1)."""

REMEMBERED = 1000


def similarity(cosine: float) -> float:
    """The cosine on this server's scale, 0 to 100, rising with it."""
    cosines, similarities = [list(column) for column in zip(*SCALE, strict=True)]
    return float(np.interp(cosine, cosines, similarities))


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """A face of a picture, its figures as Rekognition names them."""

    vector: Vector
    box: Message
    landmarks: list[Message]
    confidence: float
    brightness: float
    sharpness: float
    roll: float
    yaw: float
    pitch: float
    side: float
    """The longer side of the box, in pixels of the picture that was sent."""
    least_side: float
    """The smallest side that AWS documents to be seen in a picture of this size: 40 of 1,920 pixels."""
    clearness: float
    """The length of SFace's vector: low for what is no face or hardly one."""

    @property
    def area(self) -> float:
        """The share of the picture that the box covers."""
        return float(self.box["Width"] * self.box["Height"])

    def detail(self, attributes: frozenset[str]) -> Message:
        """The face as `FaceDetail` of the service's model; of the attributes on request, only occlusion is known."""
        detail: Message = {
            "BoundingBox": self.box,
            "Landmarks": self.landmarks,
            "Pose": {"Roll": self.roll, "Yaw": self.yaw, "Pitch": self.pitch},
            "Quality": {"Brightness": self.brightness, "Sharpness": self.sharpness},
            "Confidence": self.confidence,
        }
        if attributes & {"ALL", "FACE_OCCLUDED"}:
            detail["FaceOccluded"] = {"Value": False, "Confidence": 90.0}
        return detail


class Eyes:
    """Finds the faces of pictures; safe for several threads, though only one looks at a time.

    load: makes the local engine, at the first picture.
    """

    def __init__(self, load: Callable[[], LocalFaceAnalyzer]) -> None:
        self._load = load
        self._analyzer: LocalFaceAnalyzer | None = None
        self._lock = Lock()
        self._seen: OrderedDict[bytes, list[SeenFace]] = OrderedDict()

    def look(self, content: bytes) -> list[SeenFace]:
        """All faces of a JPEG or PNG file, the largest first. The last pictures are remembered.

        Raises:
            ServiceError: the picture is none that the service takes.
        """
        key = hashlib.sha256(content).digest()
        with self._lock:
            if key not in self._seen:
                frame = decode(content)
                if self._analyzer is None:
                    self._analyzer = self._load()
                height, width = frame.shape[:2]
                faces = [_describe(face, width, height) for face in self._analyzer.photo_faces(frame)]
                self._seen[key] = sorted(faces, key=lambda face: -face.area)
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
            return self._seen[key]


@cache
def shared_eyes() -> Eyes:
    """One engine for all servers of this process.

    It is not the one of `tests.support.faces`, which the test's own thread may be using meanwhile.
    """
    from tests.support import faces

    return Eyes(lambda: LocalFaceAnalyzer.load(faces.prepared() / "models"))


def _describe(face: DetectedFace, width: int, height: int) -> SeenFace:
    assert face.vector is not None
    box = face.box
    points = np.array(face.landmarks) * (width, height)
    roll, yaw, pitch = _pose(points)
    return SeenFace(
        vector=face.vector,
        box={"Left": box.x, "Top": box.y, "Width": box.width, "Height": box.height},
        landmarks=[{"Type": name, "X": x, "Y": y} for name, (x, y) in zip(LANDMARKS, face.landmarks, strict=True)],
        confidence=min(100.0, face.score * 100),
        brightness=face.light / 255 * 100,
        sharpness=100 * face.blur / (face.blur + HALF_SHARP),
        roll=roll,
        yaw=yaw,
        pitch=pitch,
        side=max(box.width * width, box.height * height),
        least_side=40 * max(1.0, max(width, height) / 1920),
        clearness=face.quality,
    )


def _pose(points: np.ndarray) -> tuple[float, float, float]:
    """Roll, yaw and pitch in degrees, roughly; yaw is positive to the picture's right, pitch upwards."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    line = points[1] - points[0]
    across = line / max(float(np.hypot(*line)), 1e-6)
    down = np.array([-across[1], across[0]])
    nose = points[2] - eyes
    turn = float(nose @ across) / max(float(np.hypot(*line)), 1e-6)
    height = float(nose @ down) / max(float((mouth - eyes) @ down), 1e-6)
    roll = math.degrees(math.atan2(line[1], line[0]))
    pitch = max(-90.0, min(90.0, (LEVEL - height) * 120))
    return roll, math.degrees(math.atan(turn / NOSE)), pitch
