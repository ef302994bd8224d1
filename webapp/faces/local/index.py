"""Exact search among the faces of an event: one matrix product, 2 ms for 100,000 faces."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from webapp.faces.core.protocols import FaceKey, Gallery, Hit, Probe, SearchResult
from webapp.faces.local import VERSION

Floats = npt.NDArray[np.float32]

FIRST_CAPACITY = 256


class LocalFaceIndex:
    """All faces of the events that this process works on, in memory. The database is the truth; this can be dropped.

    Implements the FaceIndex protocol. Not for use by several threads at once.
    """

    keeps_faces = False

    def __init__(self) -> None:
        self._galleries: dict[tuple[int, str], _Faces] = {}

    def prepare(self, gallery: Gallery) -> str:  # noqa: ARG002 - the protocol's
        """Nothing has to be made ready; the version of the vectors that are compared here."""
        return VERSION

    def add(self, gallery: Gallery, keys: Sequence[int], vectors: Floats) -> None:
        """Add faces; a key that is there already gets the new vector. vectors: (faces, dimensions), L2-normalised.

        Raises:
            ValueError: as many keys as vectors are needed, all of one dimension.
        """
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(keys):
            raise ValueError(f"{len(keys)} keys for vectors of shape {vectors.shape}")
        if not len(vectors):
            return
        faces = self._of(gallery)
        if faces is None:
            faces = self._galleries[gallery.event_id, gallery.kind] = _Faces(vectors.shape[1])
        faces.add(keys, vectors)

    def remove(self, gallery: Gallery, keys: Sequence[FaceKey]) -> None:
        """Forget faces; unknown keys are no error."""
        faces = self._of(gallery)
        if faces is not None:
            faces.remove([int(key) for key in keys])

    def drop(self, gallery: Gallery) -> None:
        """Forget the whole gallery; its vectors are overwritten."""
        faces = self._galleries.pop((gallery.event_id, gallery.kind), None)
        if faces is not None:
            faces.clear()

    def search(self, gallery: Gallery, probes: Sequence[Probe], floor: float) -> SearchResult:
        """All faces whose best cosine against any probe's vector is at least `floor`, best first; never capped.

        Equal similarities come in the order of their keys.
        """
        faces, vectors = self._of(gallery), [probe.vector for probe in probes if probe.vector is not None]
        if faces is None or not vectors:
            return SearchResult([])
        return SearchResult(faces.search(np.stack(vectors).astype(np.float32, copy=False), floor))

    def contents(self, gallery: Gallery) -> Iterator[tuple[FaceKey, str]]:
        """The keys that are known here."""
        faces = self._of(gallery)
        yield from ((key, "") for key in (faces.keys() if faces else ()))

    def size(self, gallery: Gallery) -> int:
        """How many faces of the gallery are known here."""
        faces = self._of(gallery)
        return len(faces) if faces else 0

    def _of(self, gallery: Gallery) -> "_Faces | None":
        return self._galleries.get((gallery.event_id, gallery.kind))


class _Faces:
    """A growing matrix: rows are faces in no order, so that removing one only moves the last into its place."""

    def __init__(self, dimensions: int) -> None:
        self._rows = np.empty((FIRST_CAPACITY, dimensions), dtype=np.float32)
        self._keys = np.empty(FIRST_CAPACITY, dtype=np.int64)
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def keys(self) -> list[int]:
        return list(self._places)

    def add(self, face_ids: Sequence[int], vectors: Floats) -> None:
        if vectors.shape[1] != self._rows.shape[1]:
            raise ValueError(f"vectors of {vectors.shape[1]} dimensions among some of {self._rows.shape[1]}")
        self._reserve(len(self) + len(vectors))
        for face_id, vector in zip(face_ids, vectors, strict=True):
            place = self._places.setdefault(int(face_id), len(self._places))
            self._rows[place] = vector
            self._keys[place] = face_id

    def remove(self, face_ids: Sequence[int]) -> None:
        for face_id in face_ids:
            place = self._places.pop(int(face_id), None)
            if place is None:
                continue
            last = len(self._places)
            if place != last:
                self._rows[place] = self._rows[last]
                self._keys[place] = self._keys[last]
                self._places[int(self._keys[last])] = place
            self._rows[last] = 0

    def clear(self) -> None:
        """Forget all faces. The matrix is overwritten: freed memory keeps its contents until it is used again."""
        self._places.clear()
        self._rows.fill(0)

    def search(self, probes: Floats, floor: float) -> list[Hit]:
        count = len(self)
        best = (self._rows[:count] @ probes.T).max(axis=1)
        found = np.nonzero(best >= floor)[0]
        found = found[np.lexsort((self._keys[found], -best[found]))]
        return [Hit(int(self._keys[row]), float(best[row])) for row in found]

    def _reserve(self, wanted: int) -> None:
        """Double the room when it is full, so that adding one face at a time stays cheap on average."""
        if wanted <= len(self._rows):
            return
        capacity = max(wanted, 2 * len(self._rows))
        rows = np.empty((capacity, self._rows.shape[1]), dtype=np.float32)
        keys = np.empty(capacity, dtype=np.int64)
        rows[: len(self)], keys[: len(self)] = self._rows[: len(self)], self._keys[: len(self)]
        self._rows.fill(0)
        self._rows, self._keys = rows, keys
