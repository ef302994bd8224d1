"""Finds faces in the service's collections, of which an event has two: for its photos' faces and for its guests'."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import structlog

from webapp.errors import Invalid, NotFound
from webapp.faces.core.protocols import FaceKey, Gallery, Hit, Probe, SearchResult
from webapp.faces.rekognition import galleries, pictures
from webapp.faces.rekognition.users import RekognitionUsers, is_without_face, said, threshold

log = structlog.get_logger()

KINDS: tuple[Literal["photos", "guests"], ...] = ("photos", "guests")

MOST_HITS = 4096
"""The service answers no more: beyond, a search is capped."""


class RekognitionIndex(RekognitionUsers):
    """The FaceIndex and UserVectors protocols over one client. Safe for several threads."""

    keeps_faces = True

    def prepare(self, gallery: Gallery) -> str:
        """Make both collections of the event unless they are there; returns the model version of `gallery`'s own.

        Asks the service each time: what somebody deleted by hand is made again.
        """
        versions = {kind: self._prepare(Gallery(gallery.event_id, gallery.event_key, kind)) for kind in KINDS}
        return versions[gallery.kind]

    def add(self, gallery: Gallery, keys: Sequence[int], vectors: npt.NDArray[np.float32]) -> None:  # noqa: ARG002 - the protocol's
        """Not here: the analyzer's calls put faces into the gallery."""
        raise TypeError("Rekognition keeps the faces that its analyzer finds; there are no vectors to add")

    def remove(self, gallery: Gallery, keys: Sequence[FaceKey]) -> None:
        """Forget faces, and take them from their person's vector; unknown ones are no error.

        Raises:
            Transient: the service still holds a face for a user's vector.
        """
        galleries.delete(self._client, gallery, keys)

    def drop(self, gallery: Gallery) -> None:
        """Forget the whole gallery, its faces and user vectors; one that is not there is no error."""
        try:
            self._call("DeleteCollection", gallery)
        except NotFound:
            return

    def search(self, gallery: Gallery, probes: Sequence[Probe], floor: float) -> SearchResult:
        """All faces whose best similarity to any probe is at least `floor`, best first; a probe never finds itself.

        A probe with a key searches by it, inside its own gallery; else its picture is sent. One in which the service
        sees no face finds nothing.

        Raises:
            NotFound: `engine_missing`, the gallery is not there.
        """
        best: dict[FaceKey, float] = {}
        capped = False
        for probe in probes:
            matches = self._matches(gallery, probe, floor)
            capped = capped or len(matches) >= MOST_HITS
            for match in matches:
                face_id, similarity = match["Face"]["FaceId"], match["Similarity"] / 100
                if similarity >= floor:
                    best[face_id] = max(similarity, best.get(face_id, 0.0))
        if capped:
            log.warning("rekognition.search_capped", collection=galleries.name(gallery), hits=MOST_HITS)
        hits = [Hit(face_id, similarity) for face_id, similarity in best.items()]
        return SearchResult(sorted(hits, key=lambda hit: (-hit.similarity, str(hit.face_id))), capped)

    def contents(self, gallery: Gallery) -> Iterator[tuple[FaceKey, str]]:
        """Every face that is kept, and the name that it was kept under.

        Raises:
            NotFound: `engine_missing`, the gallery is not there.
        """
        yield from galleries.faces(self._client, gallery)

    def _prepare(self, gallery: Gallery) -> str:
        try:
            answer = self._call("CreateCollection", gallery)
        except Invalid as error:
            if said(error) != "ResourceAlreadyExistsException":
                raise
            answer = self._call("DescribeCollection", gallery)
        return str(answer["FaceModelVersion"])

    def _matches(self, gallery: Gallery, probe: Probe, floor: float) -> list[dict[str, Any]]:
        bounds = {"MaxFaces": MOST_HITS, "FaceMatchThreshold": threshold(floor)}
        if probe.key is not None:
            found = self._searched("SearchFaces", gallery, FaceId=str(probe.key), **bounds)
            if found is not None or probe.picture is None:
                return found or []
        picture = pictures.as_probe(probe.picture) if probe.picture is not None else None
        if picture is None:
            return []
        image = {"Bytes": picture}
        return self._searched("SearchFacesByImage", gallery, Image=image, QualityFilter="NONE", **bounds) or []

    def _searched(self, operation: str, gallery: Gallery, **params: Any) -> list[dict[str, Any]] | None:
        """The matches; None if the service knows no such face, or sees none in the picture."""
        try:
            matches: list[dict[str, Any]] = self._call(operation, gallery, **params)["FaceMatches"]
        except Invalid as error:
            if not is_without_face(error):
                raise
            log.info("rekognition.probe_without_face", collection=galleries.name(gallery), operation=operation)
            return None
        return matches
