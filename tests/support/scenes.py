"""Pictures of the two public-domain portraits for the tests of face engines: selfies, photos, and a crowd."""

import io
from functools import cache

import cv2
import numpy as np

from tests.support import faces
from webapp.demo import compositions
from webapp.faces.core.protocols import Frame
from webapp.pictures import imaging


@cache
def selfie(person: str) -> Frame:
    """The demo selfie of `grace` or `eileen`."""
    return imaging.decode(io.BytesIO(compositions.selfie(person)), max_megapixels=80).frame


@cache
def shot(who: str) -> Frame:
    """A scene of 900 × 1200 with `grace`, `eileen` or, side by side, both."""
    canvas = np.full((900, 1200, 3), (150, 160, 170), dtype=np.uint8)
    for place, person in enumerate(who.split("+")):
        portrait = cv2.resize(faces.portrait(person), (512, 600 if person == "grace" else 512))
        canvas[900 - len(portrait) :, 60 + 560 * place : 572 + 560 * place] = portrait
    return canvas


def lit(frame: Frame, gain: float) -> Frame:
    """The frame with more or less light."""
    return np.clip(frame.astype(np.float32) * gain, 0, 255).astype(np.uint8)


def crowd(people: int) -> Frame:
    """As many faces in eleven columns and ten rows, of two people in several lights."""
    canvas = np.full((3000, 3300, 3), 140, dtype=np.uint8)
    heads = [
        cv2.resize(faces.portrait("eileen")[30:230, 120:320], (300, 300), interpolation=cv2.INTER_CUBIC),
        cv2.resize(faces.portrait("grace")[60:400, 100:440], (300, 300), interpolation=cv2.INTER_AREA),
    ]
    for place in range(people):
        row, column = divmod(place, 11)
        head = lit(heads[place % 2], 1 - 0.03 * (place % 7))
        canvas[row * 300 : row * 300 + 300, column * 300 : column * 300 + 300] = head
    return canvas
