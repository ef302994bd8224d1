"""SFace: a face of 112 × 112 pixels as 128 numbers."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from webapp.faces.core.protocols import Frame
from webapp.faces.local.models import open_sface

DIMENSIONS = 128
BATCH = 8
"""Faces computed at once: bounds the memory for a crowd; larger batches are not faster on one thread."""

Floats = npt.NDArray[np.float32]


class Embedder:
    """SFace on aligned crops. Load one per process."""

    def __init__(self, cache: Path) -> None:
        self._session = open_sface(cache)
        self._input = self._session.get_inputs()[0].name

    def embed(self, crops: Frame) -> tuple[Floats, Floats]:
        """Vectors (n, 128) of length 1, and the lengths (n,) they had before: the clearer the face, the longer.

        crops: (n, 112, 112, 3), RGB, 0 to 255. BGR would cost 7 % of cosine without any error.
        """
        if not len(crops):
            return np.zeros((0, DIMENSIONS), dtype=np.float32), np.zeros(0, dtype=np.float32)
        raw = self._run(crops)
        lengths = np.linalg.norm(raw, axis=1)
        return raw / np.maximum(lengths, 1e-6)[:, None], lengths

    def _run(self, crops: Frame) -> Floats:
        return np.concatenate([self._run_batch(crops[at : at + BATCH]) for at in range(0, len(crops), BATCH)])

    def _run_batch(self, crops: Frame) -> Floats:
        tensor = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)
        result: Floats = self._session.run(None, {self._input: tensor})[0]
        return result
