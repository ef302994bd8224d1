"""Face vectors as they are stored (float16) and as they are compared (rows of float32)."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from webapp.faces.core.protocols import Vector

Matrix = npt.NDArray[np.float32]


def to_blob(vector: Vector) -> bytes:
    """A vector as it is stored: float16, little endian."""
    return np.asarray(vector, dtype="<f2").tobytes()


def from_blobs(blobs: Iterable[bytes]) -> Matrix:
    """Stored vectors as a matrix of (vectors, dimensions), float32."""
    rows = [np.frombuffer(blob, dtype="<f2") for blob in blobs]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32)
