"""The local engine: finds the faces of photos and judges selfies, on one core, from decoded frames."""

from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from webapp.faces.core import selfie_rules
from webapp.faces.core.protocols import Angle, Box, DetectedFace, Frame, Keep, SeenFace, SelfieCheck
from webapp.faces.local import ENGINE, VERSION, selfie_gate
from webapp.faces.local.alignment import align
from webapp.faces.local.detector import Detections, Detector, shrink, suppress
from webapp.faces.local.embedder import Embedder
from webapp.faces.local.refinement import refine

PHOTO_SIDE = 1600
"""Photos are searched at this long side: the smallest at which a group of 77 people is found completely."""

SELFIE_SIDE = 640
"""Selfies are searched at this long side: faces are near, and the detector was trained at this size."""

COARSE_SIDE = 400
"""A second look at this long side: at the sides above, the detector does not see faces that fill the picture."""

COARSE_SHARE = 0.25
"""The second look only counts for faces of at least this share of the picture's long side."""

SCORE = 0.6
"""Detections from this confidence on are faces; the usual 0.9 misses most small ones."""

SMALLEST = 20
"""Faces below this many pixels (longer side of the box, in the searched frame) are not indexed."""

WEAK_BELOW = 32
"""Faces below this many pixels can only be a maybe."""

PHANTOM_BELOW = 7.0
"""Faces of a lower quality are mostly patterns, reflections and backs of heads: 1 % of the faces in labelled photos."""

TURNS = (1, 3, 2)
"""Quarters against the clock by which a selfie is turned, the likelier ones first."""

Floats = npt.NDArray[np.float32]

cv2.setNumThreads(1)


class LocalFaceAnalyzer:
    """YuNet and SFace behind the FaceAnalyzer and SelfieOnlooker protocols. Not for use by several threads at once."""

    engine = ENGINE
    version = VERSION
    frame_side = PHOTO_SIDE

    def __init__(self, detector: Detector, embedder: Embedder) -> None:
        self.detector = detector
        self.embedder = embedder

    @classmethod
    def load(cls, cache: Path) -> Self:
        """Open both models; folds them into `cache` first if that was not done before.

        Raises:
            ConfigurationError: the weights are missing or not the pinned ones.
        """
        return cls(Detector(cache), Embedder(cache))

    def photo_faces(self, frame: Frame, keep: Keep | None = None) -> list[DetectedFace]:  # noqa: ARG002 - the protocol's
        """All faces of at least SMALLEST pixels, the largest first. frame: (height, width, 3), RGB, upright."""
        found, factor = self.find(frame, PHOTO_SIDE)
        sizes = found.boxes[:, 2:].max(axis=1)
        found = found.chosen(np.argsort(-sizes, kind="stable"))
        found = found.chosen(found.boxes[:, 2:].max(axis=1) >= SMALLEST * factor)
        return self._describe(frame, found, factor)

    def check_selfie(
        self,
        frame: Frame,
        angle: Angle = "front",
        keep: Keep | None = None,  # noqa: ARG002 - the protocol's
    ) -> SelfieCheck:
        """Judge a selfie by the rules of `selfie_gate`. frame: (height, width, 3), RGB, upright if its EXIF said how.

        Some phones and messengers lose the orientation, so a picture that fails as it lies is tried lying on its sides
        and on its head before it is refused; the face is reported in the picture as it was given.
        """
        check = self._check_upright(frame, angle)
        if check.reason in selfie_gate.WORTH_TURNING:
            for turns in TURNS:
                turned = self._check_upright(_turned(frame, turns), angle, selfie_gate.TURNED_SCORE)
                if turned.face is not None:
                    return SelfieCheck(selfie_gate.turn_back(turned.face, turns), None)
        if check.reason == "no_face":
            return SelfieCheck(None, self._explain_absence(frame))
        return check

    def look_at_selfie(self, frame: Frame, angle: Angle = "front") -> str | None:
        """What `check_selfie` would say, as far as it can be seen without computing a template: where the template's
        length decides, the picture gets the benefit of the doubt. frame: as there.
        """
        reason = self._look_upright(frame, angle)
        if reason in selfie_gate.WORTH_TURNING and any(
            self._look_upright(_turned(frame, turns), angle, selfie_gate.TURNED_SCORE) is None for turns in TURNS
        ):
            return None
        return self._explain_absence(frame) if reason == "no_face" else reason

    def _look_upright(self, frame: Frame, angle: Angle, score: float = SCORE) -> str | None:
        found, factor = self._find_near(frame, score)
        if not len(found):
            return "no_face"
        faces, _ = self._see(frame, found, factor)
        sure = [face for face in faces if face.score >= selfie_gate.SURE_SCORE] or faces[:1]
        if selfie_gate.is_contested(sure):
            return "several_faces"
        return selfie_gate.judge_sight(max(sure, key=selfie_rules.area), angle)

    def _check_upright(self, frame: Frame, angle: Angle, score: float = SCORE) -> SelfieCheck:
        found, factor = self._find_near(frame, score)
        if not len(found):
            return SelfieCheck(None, "no_face")
        faces = self._describe(frame, found, factor)
        # A pattern on a shirt is no second person, and must not hide the first one.
        faces = [face for face in faces if face.quality >= PHANTOM_BELOW] or faces[:1]
        if selfie_gate.is_contested(faces):
            return SelfieCheck(None, "several_faces")
        face = max(faces, key=selfie_rules.area)
        reason = selfie_gate.judge(face, angle)
        return SelfieCheck(None if reason else face, reason)

    def _find_near(self, frame: Frame, score: float) -> tuple[Detections, float]:
        """What `find` finds at the selfie's size, without faces that are too small beside the largest to count."""
        found, factor = self.find(frame, SELFIE_SIDE, score)
        if not len(found):
            return found, factor
        areas = found.boxes[:, 2:].prod(axis=1)
        return found.chosen(np.nonzero(areas >= selfie_rules.BYSTANDER * areas.max())[0]), factor

    def _explain_absence(self, frame: Frame) -> str:
        """Why no face was found at the selfie's size: too far away, no light, too much light, or there is none."""
        found, factor = self.find(frame, PHOTO_SIDE)
        if len(found) and found.boxes[:, 2:].max() >= SMALLEST * factor:
            share = float(found.boxes[:, 2:].max()) / max(frame.shape[:2])
            return "too_small" if share * SELFIE_SIDE < selfie_gate.SMALLEST else "unclear"
        stretched = selfie_gate.stretch(shrink(frame, SELFIE_SIDE)[0])
        seen_when_lit = stretched is not None and len(self.detector.detect(stretched, SCORE)) > 0
        return selfie_gate.explain_absence(frame, seen_when_lit)

    def find(self, frame: Frame, long_side: int, score: float = SCORE) -> tuple[Detections, float]:
        """Faces in pixels of the frame, and how many of them one pixel of the searched picture is (≥ 1)."""
        small, factor = shrink(frame, long_side)
        fine = self.detector.detect(small, score).scaled(factor)
        tiny, coarse_factor = shrink(small, COARSE_SIDE)
        coarse = self.detector.detect(tiny, score).scaled(coarse_factor * factor)
        coarse = coarse.chosen(coarse.boxes[:, 2:].max(axis=1) >= COARSE_SHARE * max(frame.shape[:2]))
        return (suppress(fine.joined(coarse)) if len(coarse) else fine), factor

    def _describe(self, frame: Frame, found: Detections, factor: float) -> list[DetectedFace]:
        if not len(found):
            return []
        faces, crops = self._see(frame, found, factor)
        vectors, lengths = self.embedder.embed(crops)
        return [
            DetectedFace(
                box=face.box,
                landmarks=face.landmarks,
                score=face.score,
                size=face.size,
                turn=face.turn,
                blur=face.blur,
                light=face.light,
                quality=float(length),
                weak=bool(face.size < WEAK_BELOW or length < PHANTOM_BELOW),
                vector=vector,
            )
            for face, vector, length in zip(faces, vectors, lengths, strict=True)
        ]

    def _see(self, frame: Frame, found: Detections, factor: float) -> tuple[list[SeenFace], Frame]:
        """At least one face that was found, and their aligned crops (faces, 112, 112, 3)."""
        landmarks = refine(self.detector, frame, found)
        crops = np.stack([align(frame, points) for points in landmarks])
        sizes = np.round(found.boxes[:, 2:].max(axis=1) / factor).astype(int)
        faces = [
            SeenFace(
                box=_relative_box(found.boxes[n], frame),
                landmarks=_relative_points(landmarks[n], frame),
                score=float(found.scores[n]),
                size=int(sizes[n]),
                turn=head_turn(landmarks[n]),
                blur=sharpness(crops[n]),
                light=float(luma(crops[n]).mean()),
            )
            for n in range(len(found))
        ]
        return faces, crops


def _turned(frame: Frame, turns: int) -> Frame:
    return np.ascontiguousarray(np.rot90(frame, turns))


def head_turn(points: npt.NDArray[np.floating]) -> float:
    """How far the nose is beside the middle of the eyes, along the line of the eyes, in distances of the eyes.

    0 is straight ahead, whichever way the head is tilted. points: (5, 2).
    """
    line = points[1] - points[0]
    length = float(np.hypot(*line))
    if length < 1e-6:
        return float("inf")
    return abs(float((points[2] - (points[0] + points[1]) / 2) @ line)) / length**2


def luma(crop: Frame) -> npt.NDArray[np.uint8]:
    """Brightness (height, width), 0 to 255, by ITU-R BT.601."""
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def sharpness(crop: Frame) -> float:
    """Variance of the Laplacian: low is blurred."""
    return float(cv2.Laplacian(luma(crop), cv2.CV_64F).var())


def _relative_box(box: Floats, frame: Frame) -> Box:
    """The part of the box that lies within the picture, relative to it."""
    size = np.array(frame.shape[1::-1], dtype=np.float64)
    low, high = np.clip(box[:2] / size, 0, 1), np.clip((box[:2] + box[2:]) / size, 0, 1)
    return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


def _relative_points(points: Floats, frame: Frame) -> tuple[tuple[float, float], ...]:
    height, width = frame.shape[:2]
    return tuple((float(x) / width, float(y) / height) for x, y in points)
