"""How fast the product works on photos, beside a bare loop over the same files with the same libraries, and how much
memory a worker takes for a large picture of many people. BENCH_PHOTOS says how many photos there are, by default 300.

The product takes photos in over HTTP, checks, hashes, stores and commits them, and marks people, all on the same
processors, the uploading client included; the loop decodes, detects, embeds and makes the same renditions, and does
nothing else, at the niceness of the product's workers. Both have their models loaded before the clock starts. The loop
runs half before and half after the product, so that a machine that slows down or speeds up favours neither.
"""

import io
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psutil
from PIL import Image

from tests.bench import photo_cost
from tests.bench.cache import event, made_once
from tests.bench.memory import peak
from tests.bench.report import Figure
from tests.support import faces
from tests.support.product import Client, Product, photographer, running
from webapp.demo import scenes
from webapp.faces.local.analyzer import LocalFaceAnalyzer
from webapp.pictures import imaging
from webapp.settings import Settings

PHOTOS, OF_ONE_EVENT = 300, 200
PROCESSES, UPLOADS_AT_ONCE = 2, 4
WAITING = 60
"""Photos that are all there before the workers begin: what indexing alone can do."""

LEAST_RATIO = 0.8
MOST_MEMORY = 1024
CROWD = 80

_LEFT = "SELECT count(*) FROM photo WHERE status NOT IN ('indexed', 'failed')"


@dataclass
class _Work:
    """Photos that were worked on: how many, in how many seconds, with how many seconds of all processors."""

    photos: int = 0
    seconds: float = 0.0
    processor: float = 0.0

    @property
    def rate(self) -> float:
        return self.photos / self.seconds

    def add(self, other: "_Work") -> None:
        self.photos += other.photos
        self.seconds += other.seconds
        self.processor += other.processor


def measure(cache: Path) -> Iterator[Figure]:
    paths = _photos(cache, int(os.environ.get("BENCH_PHOTOS", PHOTOS)))
    bare = _bare_loop(cache, paths[::2])
    with tempfile.TemporaryDirectory(prefix="findme-bench-") as folder:
        shutil.copytree(cache / "models", Path(folder) / "data" / "models")
        with running(Path(folder) / "data", MATCHING_PROCESSES=str(PROCESSES)) as product:
            owner = photographer(product)
            made = owner.post("/photographer/events", json={"name": "Bench", "date": "2026-06-20"})["id"]
            # What differs behind the picture's end makes other bytes of a photo that comes twice.
            _upload(owner, made, paths[: 2 * PROCESSES], "warm")
            product.wait(_LEFT, 0)
            whole, taken_in = _take_in_and_index(product, owner, made, paths)
            alone = _index_what_waits(product, owner, made, paths[:WAITING])
            failed = product.rows("SELECT count(*) FROM photo WHERE status = 'failed'")[0][0]
            bare.add(_bare_loop(cache, paths[1::2]))
            yield Figure("photos handed in", len(paths), "photos")
            yield Figure("photos that failed", failed, "photos", at_most=0)
            yield Figure("photos taken in while they are worked on", taken_in, "photos/s")
            yield Figure("photos taken in and worked on", whole.rate, "photos/s")
            yield Figure("photos worked on that were there before", alone.rate, "photos/s")
            yield Figure("photos in the bare loop on two processes", bare.rate, "photos/s")
            yield Figure("product / bare loop", whole.rate / bare.rate, "", at_least=LEAST_RATIO)
            yield Figure("product without taking in / bare loop", alone.rate / bare.rate, "")
            yield Figure("processor time a photo, product", whole.processor / whole.photos, "s")
            yield Figure("processor time a photo, without taking in", alone.processor / alone.photos, "s")
            yield Figure("processor time a photo, bare loop", bare.processor / bare.photos, "s")
            for number in range(2 * PROCESSES):
                owner.upload(made, f"crowd-{number}.jpg", _crowd(cache).read_bytes() + f"{number}".encode())
            product.wait(_LEFT, 0, seconds=600)
            found = product.rows("SELECT max(faces_count) FROM photo")[0][0]
            yield Figure(f"faces found in a photo of 24 MP with {CROWD} people", found, "faces", at_least=0.9 * CROWD)
            yield Figure("peak memory of a worker after it", peak(_workers(product)), "MiB", at_most=MOST_MEMORY)


def _take_in_and_index(product: Product, owner: Client, event_id: str, paths: list[Path]) -> tuple[_Work, float]:
    """The work on all of these from the first byte to the last face, and how many a second were taken in meanwhile."""
    before, started = _processor_time(product), time.perf_counter()
    _upload(owner, event_id, paths, "")
    taken_in = time.perf_counter() - started
    product.wait(_LEFT, 0, seconds=3600)
    took = time.perf_counter() - started
    return _Work(len(paths), took, _processor_time(product) - before), len(paths) / taken_in


def _index_what_waits(product: Product, owner: Client, event_id: str, paths: list[Path]) -> _Work:
    """Hand photos in while the workers stand still, then let them work."""
    workers = _workers(product)
    for process in workers:
        process.suspend()
    try:
        _upload(owner, event_id, paths, "again")
    finally:
        before, started = _processor_time(product), time.perf_counter()
        for process in workers:
            process.resume()
    product.wait(_LEFT, 0, seconds=600)
    return _Work(len(paths), time.perf_counter() - started, _processor_time(product) - before)


def _upload(owner: Client, event_id: str, paths: list[Path], mark: str) -> None:
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        uploads = [
            pool.submit(owner.upload, event_id, path.name, path.read_bytes() + f"{mark}{number}".encode())
            for number, path in enumerate(paths)
        ]
        for upload in uploads:
            upload.result()


def _workers(product: Product) -> list[psutil.Process]:
    """The workers and their horses."""
    return [process for worker in product.workers() for process in (worker, *worker.children(recursive=True))]


def _processor_time(product: Product) -> float:
    """Seconds that the product's processes have had of all processors so far."""
    spent = 0.0
    for process in psutil.Process(product.process.pid).children(recursive=True):
        times = process.cpu_times()
        spent += times.user + times.system
    return spent


def _photos(cache: Path, count: int) -> list[Path]:
    """Photos of 12 to 24 MP: of composed events where the labelled faces are, else the six of `photo_cost`."""
    labelled = faces.find_faces_dir()
    if labelled is None:
        folder = made_once(cache / "photos-portraits-1", photo_cost._make_photos)
        known = sorted(folder.glob("*.jpg"))
    else:
        seeds = range(1, 2 + (count - 1) // OF_ONE_EVENT)
        folders = [event(labelled, cache, guests=40, photos=OF_ONE_EVENT, seed=seed) for seed in seeds]
        known = [path for folder in folders for path in sorted((folder / "photos").glob("*.jpg"))]
    return [known[number % len(known)] for number in range(count)]


def _bare_loop(cache: Path, paths: list[Path]) -> _Work:
    """These on PROCESSES processes, after each has loaded its models and worked on some photos."""
    nice = Settings(_env_file=None).matching_nice
    workers = {"mp_context": get_context("spawn"), "initializer": _load, "initargs": (cache / "models", nice)}
    with ProcessPoolExecutor(PROCESSES, **workers) as pool:
        list(pool.map(_work, paths[: 2 * PROCESSES]))
        started = time.perf_counter()
        processor = sum(pool.map(_work, paths))
        return _Work(len(paths), time.perf_counter() - started, processor)


def _load(models: Path, nice: int) -> None:
    os.nice(nice)
    globals()["_ENGINE"] = LocalFaceAnalyzer.load(models)


def _work(path: Path) -> float:
    """Seconds of a processor that one photo took."""
    started = time.process_time()
    engine: LocalFaceAnalyzer = globals()["_ENGINE"]
    frame = imaging.decode(io.BytesIO(path.read_bytes()), max_megapixels=80).frame
    imaging.renditions(frame)
    engine.photo_faces(frame)
    return time.process_time() - started


def _crowd(cache: Path) -> Path:
    """A picture of 24 MP with CROWD people in rows."""
    labelled = "people" if faces.find_faces_dir() else "portraits"
    return made_once(cache / f"crowd-{labelled}-{CROWD}", _make_crowd) / "crowd.jpg"


def _make_crowd(folder: Path) -> None:
    photo, rng = scenes.backdrop("garden", (6000, 4000), seed=1), random.Random(5)
    for number, portrait in enumerate(rng.choices(photo_cost._portraits(), k=CROWD)):
        photo.paste(portrait.resize((460, 460), Image.Resampling.LANCZOS), (number % 12 * 500, number // 12 * 560))
    photo.save(folder / "crowd.jpg", quality=90)
