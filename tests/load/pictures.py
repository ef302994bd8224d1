"""The pictures of the load tests' event, made once and kept in `.bench-cache/load/`.

With the labelled set: 200 photos of an event of make_event.py at 1600 px, and the selfies of those guests whom the gate
accepts and who are surely on a photo. Without it: the demo set. Selfies that must fail would measure refusals instead.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tests.bench import cache
from tests.support import faces
from webapp.faces.core.protocols import Frame
from webapp.faces.local import VERSION
from webapp.faces.local.analyzer import LocalFaceAnalyzer

GUESTS, PHOTOS, SEED = 40, 200, 1
LONG_SIDE, SMALL_SIDE = 1600, 480
SURE = 0.6
"""Similarity from which a guest is surely found: a little above the product's threshold."""


def event_folder() -> Path:
    """A folder with photos/, small/ (the same photos, 480 px) and selfies/."""
    labelled = faces.find_faces_dir()
    home = cache.cache_folder() / "load"
    if labelled is None:
        return cache.made_once(home / "demo-2", _make_demo)
    source = cache.event(labelled, cache.cache_folder(), guests=GUESTS, photos=PHOTOS, seed=SEED)
    return cache.made_once(home / f"{source.name}-{VERSION}-2", lambda target: _make_event(source, target))


def _make_demo(target: Path) -> None:
    pictures = faces.demo_set()
    (target / "selfies").mkdir()
    for person, content in pictures.selfies.items():
        (target / "selfies" / f"{person}.jpg").write_bytes(content)
    for name, content, _ in pictures.photos:
        _reduce(io.BytesIO(content), name, target)


def _make_event(source: Path, target: Path) -> None:
    print("making the load tests' pictures (a minute or two, once) …", flush=True)
    (target / "selfies").mkdir()
    photos = sorted((source / "photos").iterdir())
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(_one_photo, photos, [target] * len(photos), chunksize=10))
    vectors = np.concatenate([part for part in found if len(part)])
    analyzer = _analyzer()
    for path in sorted((source / "selfies").rglob("*.jpg")):
        face = analyzer.check_selfie(_frame(path)).face
        if face is not None and face.vector is not None and (vectors @ face.vector).max() >= SURE:
            (target / "selfies" / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())


def _one_photo(path: Path, target: Path) -> np.ndarray:
    """Reduce one photo; returns the vectors of its faces that count for more than a maybe."""
    _reduce(path, path.name, target)
    found = _analyzer().photo_faces(_frame(target / "photos" / path.name))
    rows = [face.vector for face in found if face.vector is not None and not face.weak]
    return np.stack(rows) if rows else np.zeros((0, 128), np.float32)


def _reduce(source: Path | io.BytesIO, name: str, target: Path) -> None:
    for folder, side in (("photos", LONG_SIDE), ("small", SMALL_SIDE)):
        (target / folder).mkdir(exist_ok=True)
        if isinstance(source, io.BytesIO):
            source.seek(0)
        with Image.open(source) as image:
            image.draft("RGB", (side, side))
            picture = ImageOps.exif_transpose(image.convert("RGB"))
        picture.thumbnail((side, side))
        picture.save(target / folder / name, "JPEG", quality=88)


def _frame(path: Path) -> Frame:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _analyzer() -> LocalFaceAnalyzer:
    if not _loaded:
        _loaded.append(LocalFaceAnalyzer.load(cache.cache_folder() / "models"))
    return _loaded[0]


_loaded: list[LocalFaceAnalyzer] = []
