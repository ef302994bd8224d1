"""Real faces for tests: the two public-domain portraits that ship in wheels, and the labelled set where it is there."""

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from webapp.demo.compositions import DemoSet, compose, portrait_path
from webapp.faces.core.protocols import Frame
from webapp.faces.local.analyzer import LocalFaceAnalyzer

ROOT = Path(__file__).resolve().parents[2]


def find_faces_dir() -> Path | None:
    """The labelled set: FACES_DIR, by default ../shared/faces beside the project; None where it is missing."""
    folder = Path(os.environ.get("FACES_DIR") or ROOT.parent / "shared" / "faces").expanduser()
    return folder if (folder / "people").is_dir() else None


MISSING = "Set FACES_DIR to a folder with people/ and groups/ of labelled faces"


def faces_dir() -> Path:
    """The labelled set, or the running test is skipped with a word that says what is missing."""
    folder = find_faces_dir()
    if folder is None:
        pytest.skip(MISSING)
    return folder


SCRATCH = "TEST_SCRATCH"
"""The name, in the environment, of the folder that all processes of a test run share; tests/conftest.py makes it."""


def scratch() -> Path:
    """The folder that this test run shares.

    Raises:
        KeyError: this is no test run.
    """
    return Path(os.environ[SCRATCH])


@cache
def prepared() -> Path:
    """Where folded models and the demo set lie from run to run: both take 15 s to make, and tell their versions apart.

    That is in the virtual environment; without one, or where it can't be written, in a folder of this process.
    """
    home = Path(sys.prefix)
    if sys.prefix != sys.base_prefix and os.access(home, os.W_OK):
        (home / "findme-tests").mkdir(exist_ok=True)
        return home / "findme-tests"
    holder = tempfile.TemporaryDirectory(prefix="findme-faces-", ignore_cleanup_errors=True)
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: list[tempfile.TemporaryDirectory[str]] = []


@cache
def analyzer() -> LocalFaceAnalyzer:
    """The local engine with its real models, loaded once per test process."""
    return LocalFaceAnalyzer.load(prepared() / "models")


@cache
def demo_set() -> DemoSet:
    """The demo event's pictures, composed once."""
    with _alone("demo"):
        return compose(prepared() / "demo")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """No other process of these tests is in this block at the same time."""
    with (prepared() / f"{name}.lock").open("w") as lock:
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
