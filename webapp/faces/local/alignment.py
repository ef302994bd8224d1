"""Turns a face upright and brings it to the 112 × 112 pixels that SFace expects."""

import cv2
import numpy as np
import numpy.typing as npt

from webapp.faces.core.protocols import Frame
from webapp.faces.local.resizing import averaged

SIDE = 112

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)
"""Where SFace was trained to see the landmarks: eye, eye, nose, mouth corner, mouth corner, left to right."""

Floats = npt.NDArray[np.floating]
Matrix = npt.NDArray[np.float64]


def similarity(source: Floats, target: Floats) -> Matrix:
    """The rotation, scale and shift, as a (2, 3) matrix, that brings the source points nearest to the target points.

    Umeyama's closed form (IEEE PAMI 13(4), 1991), least squares. source, target: (n, 2).
    """
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    from_points, to_points = source - from_mean, target - to_mean
    left, singular, right = np.linalg.svd(to_points.T @ from_points)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])
    rotation = (left * signs) @ right
    scale = (singular * signs).sum() / max(float((from_points**2).sum()), 1e-9)
    linear = scale * rotation
    return np.hstack([linear, (to_mean - linear @ from_mean)[:, None]])


def align(frame: Frame, landmarks: Floats) -> Frame:
    """The face as (112, 112, 3). landmarks: (5, 2) in pixels of the frame.

    A face much larger than the result is first averaged down: sampling it directly would alias, and SFace would see
    moiré instead of skin.
    """
    matrix = similarity(landmarks.astype(np.float64), TEMPLATE)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale >= 0.5:
        return _warp(frame, matrix)
    part, origin = _surroundings(frame, landmarks, reach=SIDE / 2 / scale)
    part, factor = _shrink(part, scale)
    return _warp(part, similarity((landmarks - origin) * factor, TEMPLATE))


def _surroundings(frame: Frame, landmarks: Floats, reach: float) -> tuple[Frame, Floats]:
    """The part of the frame around the face, and its upper left corner: averaging the whole frame would be waste."""
    low = np.clip(np.floor(landmarks.min(axis=0) - reach), 0, None).astype(int)
    high = np.maximum(np.ceil(landmarks.max(axis=0) + reach).astype(int), low + 1)
    return frame[low[1] : high[1], low[0] : high[0]], low


def _shrink(part: Frame, scale: float) -> tuple[Frame, Floats]:
    """The part averaged down, and the exact factors across and down after rounding to whole pixels."""
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    factor = np.array([size[0] / part.shape[1], size[1] / part.shape[0]])
    return averaged(part, *size), factor


def _warp(frame: Frame, matrix: Matrix) -> Frame:
    crop = cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(crop, dtype=np.uint8)


def cut_square(frame: Frame, box: Floats, side: int, margin: float) -> tuple[Frame, Floats, float]:
    """A square `margin` times as large as the box, around its middle, resized to `side`; black beyond the picture.

    box: left, top, width, height in pixels. Returns the square (side, side, 3), its upper left corner in the frame, and
    how many pixels of the frame one of its pixels is.
    """
    reach = max(1, round(float(box[2:].max()) * margin / 2))
    corner = np.round(box[:2] + box[2:] / 2).astype(int) - reach
    low, high = np.clip(corner, 0, None), np.minimum(corner + 2 * reach, frame.shape[1::-1])
    square = np.zeros((2 * reach, 2 * reach, 3), dtype=np.uint8)
    if (high > low).all():
        inside = tuple(slice(a, b) for a, b in zip((low - corner)[::-1], (high - corner)[::-1], strict=True))
        square[inside] = frame[low[1] : high[1], low[0] : high[0]]
    return averaged(square, side, side), corner.astype(np.float64), 2 * reach / side
