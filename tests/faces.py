"""Real faces for tests: the two public-domain portraits that ship in wheels, and the labelled set where it is there."""

import copy
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from webapp.demo_pictures import DemoSet, compose, portrait_path
from webapp.faces.local.analyzer import LocalFaceAnalyzer
from webapp.faces.protocols import Angle, DetectedFace, Frame, Keep, SelfieCheck

ROOT = Path(__file__).resolve().parent.parent


def find_faces_dir() -> Path | None:
    """The labelled set: FACES_DIR, by default ../shared/faces beside the project; None where it is missing."""
    folder = Path(os.environ.get("FACES_DIR") or ROOT.parent / "shared" / "faces").expanduser()
    return folder if (folder / "people").is_dir() else None


def faces_dir() -> Path:
    """The labelled set, or the running test is skipped with a word that says what is missing."""
    folder = find_faces_dir()
    if folder is None:
        pytest.skip("the labelled faces are missing: set FACES_DIR to a folder with people/ and groups/")
    return folder


SCRATCH = "TEST_SCRATCH"
"""The name, in the environment, of the folder that all processes of a test run share; tests/conftest.py makes it."""


@cache
def scratch() -> Path:
    """Where folded models and the demo set are made once for a whole run; outside of pytest, for this process."""
    if shared := os.environ.get(SCRATCH):
        return Path(shared)
    holder = tempfile.TemporaryDirectory(prefix="findme-faces-", ignore_cleanup_errors=True)
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: list[tempfile.TemporaryDirectory[str]] = []


class Remembering:
    """The local engine, which looks at each picture once: what it finds depends on nothing but the pixels, and most
    tests show it the same few. What it really does with them is tested on `analyzer()`.
    """

    def __init__(self, engine: LocalFaceAnalyzer) -> None:
        self._engine = engine
        self._known: dict[tuple[object, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def photo_faces(self, frame: Frame, keep: Keep | None = None) -> list[DetectedFace]:
        return self._recall(frame, "photo", lambda: self._engine.photo_faces(frame, keep))

    def check_selfie(self, frame: Frame, angle: Angle = "front", keep: Keep | None = None) -> SelfieCheck:
        return self._recall(frame, angle, lambda: self._engine.check_selfie(frame, angle, keep))

    def _recall(self, frame: Frame, question: str, look: Callable[[], Any]) -> Any:
        key = (question, frame.shape, hashlib.sha256(np.ascontiguousarray(frame)).digest())
        if key not in self._known:
            self._known[key] = look()
        return copy.deepcopy(self._known[key])  # whoever changes an answer changes their own


@cache
def analyzer() -> LocalFaceAnalyzer:
    """The local engine with its real models, loaded once per test process."""
    return LocalFaceAnalyzer.load(scratch() / "models")


@cache
def remembering() -> Remembering:
    """The same for whole ways through the app."""
    return Remembering(analyzer())


@cache
def demo_set() -> DemoSet:
    """The demo event's pictures, composed once per run."""
    with _alone("demo"):
        return compose(scratch() / "demo")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """No other process of the run is in this block at the same time."""
    with (scratch() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def portrait(person: str) -> Frame:
    """The wheel's portrait of `grace` or `eileen`: (height, width, 3), RGB."""
    return read_frame(portrait_path(person))


def cat() -> Frame:
    """A picture of a cat's face (scikit-image's Chelsea, CC0)."""
    return read_frame(portrait_path("eileen").with_name("chelsea.png"))


def read_frame(path: Path) -> Frame:
    """A picture file as (height, width, 3), RGB, as it lies in the file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
