"""How often the first look at a selfie, which only detects, says something else than the judgement after consent.

    FACES_DIR=/path/to/faces .venv/bin/python -m tests.bench.first_look

Each picture of the labelled set is looked at as it is, and half of them darkened or blurred,
as bad selfies are. What must not happen is a picture that the look refuses and the judgement accepts.
"""

from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np

from tests.support import faces
from webapp.faces.core.protocols import Frame


def main() -> None:
    analyzer, found = faces.analyzer(), {"as they are": Counter[str](), "spoiled": Counter[str]()}
    for number, path in enumerate(sorted((faces.faces_dir() / "people").glob("*/*.jpg"))):
        frame = faces.read_frame(path)
        for kind, picture in _pictures(number, frame):
            look, full = analyzer.look_at_selfie(picture), analyzer.check_selfie(picture)
            words = f"{'good so far' if look is None else 'refused'}, {'accepted' if full.face else 'refused'} later"
            found[kind][words] += 1
            if full.face is None and look is None:
                found[kind][f"good so far, refused later as {full.reason}"] += 1
    for kind, counts in found.items():
        print(kind)
        for words, count in sorted(counts.items()):
            print(f"  {count:>6}  {words}")


def _pictures(number: int, frame: Frame) -> Iterator[tuple[str, Frame]]:
    yield "as they are", frame
    if number % 4 == 0:
        yield "spoiled", (frame * 0.15).astype(np.uint8)
    elif number % 4 == 1:
        yield "spoiled", np.asarray(cv2.GaussianBlur(frame, (0, 0), 6), dtype=np.uint8)


if __name__ == "__main__":
    main()
