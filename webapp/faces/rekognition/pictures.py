"""Pictures as the service takes them: JPEG of at most 5 MB, both sides of at least 80 pixels."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from webapp.errors import Invalid
from webapp.faces.core.protocols import Box, Frame

MOST_BYTES = 5_242_880
LEAST_SIDE = 80

SIDES = (4096, 3264, 2560, 2048, 1600)
QUALITIES = (92, 84, 74)
"""What is tried, in this order, until the file is small enough: pixels first, since a face of 40 pixels keeps its
features under a stronger compression, but not at half its size."""

PROBE_SIDE = 160
"""Crops of a face are enlarged to this shorter side: the service sees no face below 40 pixels, and a crop is twice that
around one."""

HIDDEN = 0.8
"""The middle of a face's box that is painted over to hide it; the rest may belong to a neighbour."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that can be sent."""

    content: bytes
    width: int
    height: int


def for_service(frame: Frame, side: int = SIDES[0]) -> Picture | None:
    """The largest JPEG of the frame that the service takes, its long side at most `side` pixels.

    None where there is no such file: the picture is a strip in which no face can be. frame: (height, width, 3), RGB.
    """
    image = _large_enough(Image.fromarray(frame), LEAST_SIDE)
    if image is None:
        return None
    for allowed in (side, *(smaller for smaller in SIDES if smaller < side)):
        if max(image.size) > allowed:
            image = _within(image, allowed)
        if min(image.size) < LEAST_SIDE:
            return None
        for quality in QUALITIES:
            content = _jpeg(image, quality)
            if len(content) <= MOST_BYTES:
                return Picture(content, *image.size)
    return None


def as_probe(content: bytes) -> bytes | None:
    """A picture of one face, large and light enough to be searched with; None if it is a strip without a face.

    Raises:
        Invalid: `unreadable`, this is no picture.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as opened:
            fits = len(content) <= MOST_BYTES and min(opened.size) >= PROBE_SIDE and opened.mode == "RGB"
            image = None if fits else opened.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise Invalid(code="unreadable") from error
    if image is None:
        return content
    enlarged = _large_enough(image, PROBE_SIDE)
    picture = None if enlarged is None else for_service(np.asarray(enlarged))
    return None if picture is None else picture.content


def hide(frame: Frame, boxes: Iterable[Box]) -> Frame:
    """A copy of the frame in which these faces can't be seen any more."""
    height, width = frame.shape[:2]
    hidden, colour = frame.copy(), frame.mean(axis=(0, 1)).astype(np.uint8)
    for box in boxes:
        left, right = (box.x + box.width * (0.5 + HIDDEN / 2 * way) for way in (-1, 1))
        top, bottom = (box.y + box.height * (0.5 + HIDDEN / 2 * way) for way in (-1, 1))
        rows = slice(max(0, round(top * height)), max(0, round(bottom * height)))
        columns = slice(max(0, round(left * width)), max(0, round(right * width)))
        hidden[rows, columns] = colour
    return hidden


def _large_enough(image: Image.Image, least: int) -> Image.Image | None:
    """The picture with a shorter side of at least so many pixels; None if that would make it larger than any photo."""
    shorter, longer = sorted(image.size)
    if shorter >= least:
        return image
    factor = least / shorter
    if longer * factor > SIDES[0]:
        return None
    size = (max(least, round(image.width * factor)), max(least, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _within(image: Image.Image, side: int) -> Image.Image:
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
