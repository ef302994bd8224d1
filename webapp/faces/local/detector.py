"""YuNet: where the faces of a picture are, with five landmarks each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from webapp.faces.core.protocols import Frame
from webapp.faces.local.models import open_yunet
from webapp.faces.local.resizing import averaged

Floats = npt.NDArray[np.float32]

STRIDES = (8, 16, 32)
OVERLAP = 0.3
MOST_CANDIDATES = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What was found in one picture, best first, in pixels of that picture."""

    boxes: Floats
    """(faces, 4): left, top, width, height; may reach beyond the picture's edge."""
    landmarks: Floats
    """(faces, 5, 2): eye, eye, nose, mouth corner, mouth corner, from the picture's left to its right."""
    scores: Floats
    """(faces,): confidence, 0 to 1."""

    def __len__(self) -> int:
        return len(self.scores)

    def scaled(self, factor: float) -> "Detections":
        """The same faces in a picture that is `factor` times as large."""
        return Detections(self.boxes * factor, self.landmarks * factor, self.scores)

    def chosen(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Detections":
        """Only some of the faces: by position, in that order, or by a mask."""
        return Detections(self.boxes[which], self.landmarks[which], self.scores[which])

    def joined(self, *others: "Detections") -> "Detections":
        """The faces of all, one after the other."""
        parts = (self, *others)
        return Detections(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.landmarks for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )


class Detector:
    """YuNet on pictures of any size. Load one per process."""

    def __init__(self, cache: Path) -> None:
        self._session = open_yunet(cache)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def detect(self, frame: Frame, score: float) -> Detections:
        """Faces with at least this score. frame: (height, width, 3), RGB."""
        return self.detect_batch(frame[None], score)[0]

    def detect_batch(self, frames: Frame, score: float) -> list[Detections]:
        """The same for pictures of one size: (n, height, width, 3), RGB. One result for each."""
        tensor = _to_tensor(frames)
        heads = dict(zip(self._outputs, self._session.run(None, {self._input: tensor}), strict=True))
        columns = tensor.shape[3]
        return [_decode({name: head[n] for name, head in heads.items()}, columns, score) for n in range(len(frames))]


def shrink(frame: Frame, long_side: int) -> tuple[Frame, float]:
    """The picture with at most this long side, and the factor from the result back to the given one (≥ 1)."""
    longest = max(frame.shape[:2])
    if longest <= long_side:
        return frame, 1.0
    factor = long_side / longest
    size = (max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor)))
    return averaged(frame, *size), 1 / factor


def suppress(found: Detections) -> Detections:
    """Keep the best of faces that overlap by more than OVERLAP of their union; best first."""
    order = np.argsort(-found.scores, kind="stable")[:MOST_CANDIDATES]
    found = found.chosen(order)
    left, top = found.boxes[:, 0], found.boxes[:, 1]
    right, bottom = left + found.boxes[:, 2], top + found.boxes[:, 3]
    area = found.boxes[:, 2] * found.boxes[:, 3]
    alive = np.ones(len(found), dtype=bool)
    for n in range(len(found)):
        if not alive[n]:
            continue
        across = np.minimum(right, right[n]) - np.maximum(left, left[n])
        down = np.minimum(bottom, bottom[n]) - np.maximum(top, top[n])
        shared = np.clip(across, 0, None) * np.clip(down, 0, None)
        alive[n + 1 :] &= (shared <= OVERLAP * (area + area[n] - shared))[n + 1 :]
    return found.chosen(alive)


def _to_tensor(frames: Frame) -> Floats:
    """(n, 3, height, width) in float32, BGR as YuNet was trained, padded with black to multiples of the stride."""
    count, height, width, _ = frames.shape
    tensor = np.zeros((count, 3, height + -height % STRIDES[-1], width + -width % STRIDES[-1]), dtype=np.float32)
    tensor[:, :, :height, :width] = frames[..., ::-1].transpose(0, 3, 1, 2)
    return tensor


def _decode(heads: dict[str, Floats], columns: int, score: float) -> Detections:
    """Boxes and landmarks from the anchors of all strides. heads: (anchors, channels) each; columns: input width."""
    first, *others = (_decode_stride(heads, stride, columns // stride, score) for stride in STRIDES)
    return suppress(first.joined(*others))


def _decode_stride(heads: dict[str, Floats], stride: int, columns: int, score: float) -> Detections:
    """An anchor is a cell of the grid; centres and landmarks are offsets from it, sizes are logarithms."""
    face, overlap = (np.clip(heads[f"{name}_{stride}"][:, 0], 0, 1) for name in ("cls", "obj"))
    scores = np.sqrt(face * overlap)
    hits = np.nonzero(scores >= score)[0]
    cells = np.stack([hits % columns, hits // columns], axis=1).astype(np.float32)
    raw = heads[f"bbox_{stride}"][hits]
    centres, sizes = (cells + raw[:, :2]) * stride, np.exp(raw[:, 2:]) * stride
    landmarks = (heads[f"kps_{stride}"][hits].reshape(-1, 5, 2) + cells[:, None]) * stride
    return Detections(np.hstack([centres - sizes / 2, sizes]), landmarks, scores[hits])
