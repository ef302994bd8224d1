"""Real faces for tests: the two public-domain portraits that ship in wheels, and the labelled set where it is there."""

import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from webapp.demo_pictures import DemoSet, compose, portrait_path
from webapp.faces.local.analyzer import LocalFaceAnalyzer
from webapp.faces.protocols import Frame

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


@cache
def scratch() -> Path:
    """A folder of this test process's own, removed at its end: folded models and the demo set are made once in it."""
    holder = tempfile.TemporaryDirectory(prefix="findme-faces-", ignore_cleanup_errors=True)
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: list[tempfile.TemporaryDirectory[str]] = []


@cache
def analyzer() -> LocalFaceAnalyzer:
    """The local engine with its real models, loaded once per test process."""
    return LocalFaceAnalyzer.load(scratch() / "models")


@cache
def demo_set() -> DemoSet:
    """The demo event's pictures, composed once per test process."""
    return compose(scratch() / "demo")


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
