"""Cutting one face out of a photo for a service that searches by picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from webapp.pictures.imaging import Frame, jpeg

Box = tuple[float, float, float, float]
"""Left, top, width and height relative to the picture, 0 to 1."""

PAINT = 128


def probe_part(frame: Frame, x: float, y: float, width: float, height: float, others: Sequence[Box] = ()) -> Frame:
    """One face with some of its surroundings, for a service that searches by picture.

    frame: (height, width, 3), RGB; the box is relative, 0 to 1. The part is twice as large as the box, as far as the
    picture goes; its long side is brought to 200 to 1,000 pixels, since services want faces of some size. A service
    takes the largest face that it sees, so what lies in the boxes of `others`, outside the face's own, is painted over.
    """
    rows, columns = frame.shape[:2]
    left, right = max(0.0, x - width / 2) * columns, min(1.0, x + 1.5 * width) * columns
    top, bottom = max(0.0, y - height / 2) * rows, min(1.0, y + 1.5 * height) * rows
    corner = int(left), int(top)
    part = frame[corner[1] : max(corner[1] + 1, round(bottom)), corner[0] : max(corner[0] + 1, round(right))].copy()
    own = _pixels((x, y, width, height), frame, corner)
    kept = part[own].copy()
    for other in others:
        part[_pixels(other, frame, corner)] = PAINT
    part[own] = kept
    image = Image.fromarray(part)
    scale = min(max(200, *image.size), 1000) / max(image.size)
    size = (max(80, round(image.width * scale)), max(80, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def probe_crop(frame: Frame, x: float, y: float, width: float, height: float, others: Sequence[Box] = ()) -> bytes:
    """The same as JPEG."""
    return jpeg(Image.fromarray(probe_part(frame, x, y, width, height, others)), quality=95).content


def _pixels(box: Box, frame: Frame, corner: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a relative box, counted from a corner of the frame; empty where it lies before that."""
    rows, columns = frame.shape[:2]
    left, top = round(box[0] * columns) - corner[0], round(box[1] * rows) - corner[1]
    right, bottom = round((box[0] + box[2]) * columns) - corner[0], round((box[1] + box[3]) * rows) - corner[1]
    return slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))
