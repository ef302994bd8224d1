"""How far selfies drift: those of one person, and chains of morphs from one person to the next.

    FACES_DIR=/path/to/faces .venv/bin/python -m tests.bench.selfie_drift

Drift is what `webapp.services.strangers.strangers` adds up: 1 − similarity to the selfie that is replaced, or to the
most alike one where selfies are added. The pictures are those of the labelled set that pass as selfies.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support import faces
from webapp.faces.core.protocols import Frame
from webapp.services.strangers.strangers import DRIFT_OF_ACCOUNT, FACES_OF_ACCOUNT, SAME_FACE

FURTHER = 10
FEW = 5
CHAINS, LONG = 16, 8
SIDE = 250
PLACE = np.array([(0.39, 0.44), (0.61, 0.44), (0.5, 0.57), (0.41, 0.68), (0.59, 0.68)]) * SIDE
"""Where a morph has eyes, nose and mouth."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Selfie:
    frame: Frame
    vector: Vector
    landmarks: NDArray[np.float64]


def main() -> None:
    """Print how far honest people drift, and how many people chains show before they are stopped."""
    folders = sorted((faces.faces_dir() / "people").iterdir())
    found = [_selfies(folder, FURTHER + 1) for folder in folders]
    honest = [[each.vector for each in one] for one in found if len(one) == FURTHER + 1]
    for further in (FEW, FURTHER):
        for name, nearest in (("replaced", _last), ("added", _nearest)):
            _honest(name, [_drift(one[: further + 1], nearest) for one in honest], further)
    firsts = [one[0] for folder in folders[::7] if (one := _selfies(folder, 1))]
    people = [firsts[start : start + LONG] for start in range(0, CHAINS * LONG, LONG)]
    for between in range(5):
        shown = [_people_shown(list(chain(several, between))) for several in people if len(several) == LONG]
        drift = [
            _drift([each.vector for each, _ in chain(several[:3], between)], _last) for several in people if several
        ]
        print(
            f"{len(shown)} chains, {between} morphs between two: shown before the stop: median "
            f"{np.median(shown):.0f}, most {max(shown)} people; drift at the third: median {np.median(drift):.2f}",
            flush=True,
        )


def _honest(name: str, sums: Sequence[float], further: int) -> None:
    parts = " ".join(f"{part} %: {np.percentile(sums, part):.2f}" for part in (50, 90, 95, 100))
    stopped = sum(total >= DRIFT_OF_ACCOUNT for total in sums)
    print(f"{len(sums)} people, {further} further selfies {name}: {parts}; {stopped} stopped", flush=True)


def _last(vector: Vector, before: Sequence[Vector]) -> float:
    return float(np.dot(vector, before[-1]))


def _nearest(vector: Vector, before: Sequence[Vector]) -> float:
    return max(float(np.dot(vector, other)) for other in before)


def _drift(vectors: Sequence[Vector], nearest: Callable[[Vector, Sequence[Vector]], float]) -> float:
    alike = [nearest(vectors[at], vectors[:at]) for at in range(1, len(vectors))]
    return sum(1 - each for each in alike if each >= SAME_FACE)


def _people_shown(links: Sequence[tuple[Selfie, bool]]) -> int:
    """How many people a chain shows before the account is stopped, each selfie replacing the one before."""
    drift, seen, shown = 0.0, 1, 1
    for (before, _), (selfie, is_portrait) in pairwise(links):
        alike = float(np.dot(before.vector, selfie.vector))
        if alike < SAME_FACE:
            seen += 1
        else:
            drift += 1 - alike
        if seen >= FACES_OF_ACCOUNT or drift >= DRIFT_OF_ACCOUNT:
            break
        shown += is_portrait
    return shown


def chain(people: Sequence[Selfie], between: int) -> Iterator[tuple[Selfie, bool]]:
    """One person's portrait after the other, with as many blends of two on the way; whether each is a portrait."""
    for one, other in pairwise(people):
        yield one, True
        ends = [_warped(one), _warped(other)]
        for step in range(1, between + 1):
            morph = _looked_at(np.asarray(Image.blend(*ends, step / (between + 1))))
            if morph is not None:
                yield morph, False
    yield people[-1], True


def _warped(selfie: Selfie) -> Image.Image:
    matrix, *_ = np.linalg.lstsq(np.hstack([PLACE, np.ones((5, 1))]), selfie.landmarks, rcond=None)
    picture = Image.fromarray(selfie.frame)
    return picture.transform((SIDE, SIDE), Image.Transform.AFFINE, tuple(matrix.T.flatten()), Image.Resampling.BICUBIC)


def _selfies(folder: Path, count: int) -> list[Selfie]:
    found: list[Selfie] = []
    pictures = sorted(folder.iterdir())
    for picture in pictures if len(pictures) >= count else []:
        selfie = _looked_at(faces.read_frame(picture))
        if selfie is not None:
            found.append(selfie)
        if len(found) == count:
            break
    return found


def _looked_at(frame: Frame) -> Selfie | None:
    face = faces.analyzer().check_selfie(frame).face
    if face is None or face.vector is None or face.landmarks is None:
        return None
    height, width, _ = frame.shape
    return Selfie(frame, face.vector, np.array([(x * width, y * height) for x, y in face.landmarks]))


if __name__ == "__main__":
    main()
