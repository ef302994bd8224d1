"""Makes pictures smaller, quickly and without aliasing."""

import cv2
import numpy as np

from webapp.faces.core.protocols import Frame


def averaged(frame: Frame, width: int, height: int) -> Frame:
    """The frame, (height, width, 3), at a smaller size: halved by averaging while that is possible, then sampled.

    OpenCV's averaging by a fraction takes seven times as long as halving twice and sampling once, and the detector and
    the embedder can't tell the difference.
    """
    while frame.shape[0] >= 2 * height and frame.shape[1] >= 2 * width and min(width, height) > 0:
        rows, columns = frame.shape[0] // 2, frame.shape[1] // 2
        frame = np.asarray(
            cv2.resize(frame[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
