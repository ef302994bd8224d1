"""What a photo costs on one core: decoding, finding faces, describing them, and making what the gallery shows."""

import io
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from PIL import Image

from tests.bench.cache import made_once
from tests.bench.report import Figure
from tests.support import faces
from webapp.demo import scenes
from webapp.demo.compositions import PEOPLE, portrait_path
from webapp.faces.local.alignment import align
from webapp.faces.local.analyzer import PHOTO_SIDE, LocalFaceAnalyzer
from webapp.faces.local.refinement import refine
from webapp.pictures import imaging

MEGAPIXELS = (12, 24)
FACES = (1, 5, 20)
ROUNDS = 5

T = TypeVar("T")


def measure(cache: Path) -> Iterator[Figure]:
    """Medians of ROUNDS runs after one to warm up, in milliseconds a photo."""
    engine = LocalFaceAnalyzer.load(cache / "models")
    folder = made_once(cache / f"photos-{'people' if faces.find_faces_dir() else 'portraits'}-1", _make_photos)
    for megapixels in MEGAPIXELS:
        for count in FACES:
            content = (folder / f"{megapixels}mp-{count}.jpg").read_bytes()
            runs = [_run(engine, content) for _ in range(ROUNDS + 1)][1:]
            label = f"photo of {megapixels} MP with {count} people"
            for part in runs[0]:
                yield Figure(f"{label}: {part}", median(times[part] for times in runs), "ms")
            yield Figure(f"{label}: all", median(sum(times.values()) for times in runs), "ms")


def _run(engine: LocalFaceAnalyzer, content: bytes) -> dict[str, float]:
    times: dict[str, float] = {}

    def timed(part: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        times[part] = (time.perf_counter() - start) * 1000
        return result

    frame = timed("decode", lambda: imaging.decode(io.BytesIO(content), max_megapixels=80).frame)
    found, _ = timed("detect", lambda: engine.find(frame, PHOTO_SIDE))
    crops = timed("align", lambda: np.stack([align(frame, points) for points in refine(engine.detector, frame, found)]))
    timed("embed", lambda: engine.embedder.embed(crops))
    timed("renditions", lambda: imaging.renditions(frame))
    return times


def _make_photos(folder: Path) -> None:
    """Photos of the wanted sizes: faces in a grid before a blurred garden, as in a group picture."""
    rng = random.Random(4)
    pool = _portraits()
    for megapixels in MEGAPIXELS:
        width = round((megapixels * 1.5e6) ** 0.5)
        for count in FACES:
            photo = scenes.backdrop("garden", (width, width * 2 // 3), seed=count)
            columns = round((count * 1.5) ** 0.5)
            cell = min(width // columns, photo.height // -(-count // columns))
            for n, portrait in enumerate(rng.choices(pool, k=count)):
                side = int(cell * rng.uniform(0.6, 0.9))
                place = ((n % columns) * width // columns, n // columns * cell)
                photo.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), place)
            photo.save(folder / f"{megapixels}mp-{count}.jpg", quality=90)


def _portraits() -> list[Image.Image]:
    """Square portraits: of the labelled set where it is present, else the two that ship in wheels."""
    labelled = faces.find_faces_dir()
    if labelled:
        return [Image.open(path).convert("RGB") for path in sorted((labelled / "people").glob("*/*.jpg"))[::200]]
    squares = []
    for person, portrait in PEOPLE.items():
        across, down, height = portrait.face
        whole = Image.open(portrait_path(person)).convert("RGB")
        squares.append(whole.crop((across - height, down - height, across + height, down + height)))
    return squares
