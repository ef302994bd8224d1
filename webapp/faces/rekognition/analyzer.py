"""Has the service find the faces of photos and selfies, and keep them under our names."""

from typing import Any

import structlog

from webapp.faces.core.boxes import overlap
from webapp.faces.core.protocols import Angle, DetectedFace, Frame, Keep, SelfieCheck
from webapp.faces.rekognition import ENGINE, galleries, pictures, selfie_gate
from webapp.faces.rekognition.client import Client
from webapp.faces.rekognition.details import describe
from webapp.faces.rekognition.pictures import Picture

log = structlog.get_logger()

PHOTO_SIDE = pictures.SIDES[0]
"""Photos are sent at this long side at most. The service sees faces from 2 % of it on, however large the picture is;
its pixels are for telling apart the small ones."""

SELFIE_SIDE = 1600

MOST_FACES = 100
"""What the service sees and keeps of one picture at most."""

MOST_ROUNDS = 5
"""How often a picture is sent, each time with the faces hidden that were seen before: 500 faces."""

SAME_FACE = 0.4
"""Two boxes with this overlap are one face, seen again although it was hidden."""


class RekognitionAnalyzer:
    """IndexFaces behind the FaceAnalyzer protocol. Both methods need `keep`: the service finds what it keeps.

    Safe for several threads.
    """

    engine = ENGINE
    frame_side = PHOTO_SIDE

    def __init__(self, client: Client) -> None:
        self._client = client

    def photo_faces(self, frame: Frame, keep: Keep | None = None) -> list[DetectedFace]:
        """All faces that the service finds good enough, the largest first. frame: (height, width, 3), RGB, upright.

        A picture of a hundred faces or more is sent again with the known ones painted over, until there are no more.

        Raises:
            NotFound: `engine_missing`, the gallery is not there.
            Transient, Invalid, MissingRights, LimitReached: as the client says.
        """
        keep = _needed(keep)
        found: list[DetectedFace] = []
        repeated, shown = keep.again, frame
        for _ in range(MOST_ROUNDS):
            picture = pictures.for_service(shown, PHOTO_SIDE)
            if picture is None:
                break
            seen = self._index(picture, keep, MOST_FACES)
            repeated = repeated or self._client.maybe_repeated
            found += self._without_known(seen, found, keep)
            if len(seen) < MOST_FACES:
                break
            done = [one.face.box for one in seen if one.kept or set(one.reasons) & set(selfie_gate.REASONS_OF_SERVICE)]
            shown = pictures.hide(shown, done)
        else:
            log.warning("rekognition.faces_beyond_limit", name=keep.name, faces=len(found))
        if repeated:
            galleries.delete_others(self._client, keep.gallery, keep.name, {str(face.external_id) for face in found})
        return sorted(found, key=lambda face: -face.size)

    def check_selfie(self, frame: Frame, angle: Angle = "front", keep: Keep | None = None) -> SelfieCheck:
        """Judge a selfie by the rules of `selfie_gate`; of a refused one nothing stays in the gallery.

        frame: (height, width, 3), RGB, upright.

        Raises:
            NotFound: `engine_missing`, the gallery is not there.
            Transient, Invalid, MissingRights, LimitReached: as the client says.
        """
        keep = _needed(keep)
        picture = pictures.for_service(frame, SELFIE_SIDE)
        seen = self._index(picture, keep, 1) if picture else []
        repeated = keep.again or (picture is not None and self._client.maybe_repeated)
        kept = next((one.face for one in seen if one.kept), None)
        if picture is None or not seen:
            reason: str | None = selfie_gate.explain_absence(frame)
        else:
            reason = selfie_gate.judge(seen, max(picture.width, picture.height), angle)
        stays = {str(kept.external_id)} if kept and not reason else set()
        if kept and reason:
            galleries.delete(self._client, keep.gallery, [kept.external_id])
        if repeated:
            galleries.delete_others(self._client, keep.gallery, keep.name, stays)
        return SelfieCheck(None if reason else kept, reason)

    def _index(self, picture: Picture, keep: Keep, most: int) -> list[selfie_gate.Seen]:
        """Send a picture; returns the faces that were kept, and those that were seen and not kept."""
        answer: dict[str, Any] = self._client.call(
            "IndexFaces",
            keep.gallery.event_key,
            CollectionId=galleries.name(keep.gallery),
            Image={"Bytes": picture.content},
            ExternalImageId=keep.name,
            DetectionAttributes=["DEFAULT"],
            MaxFaces=most,
            QualityFilter="AUTO",
        )
        kept = [
            selfie_gate.Seen(describe(record["FaceDetail"], picture, record["Face"]["FaceId"]))
            for record in answer.get("FaceRecords", ())
        ]
        return kept + [
            selfie_gate.Seen(describe(other["FaceDetail"], picture), tuple(other.get("Reasons", ())))
            for other in answer.get("UnindexedFaces", ())
        ]

    def _without_known(self, seen: list[selfie_gate.Seen], found: list[DetectedFace], keep: Keep) -> list[DetectedFace]:
        """The kept faces of one round that no earlier one had; the others are deleted again."""
        kept = [one.face for one in seen if one.kept]
        known = [face for face in kept if any(overlap(face.box, other.box) > SAME_FACE for other in found)]
        galleries.delete(self._client, keep.gallery, [face.external_id for face in known])
        return [face for face in kept if face not in known]


def _needed(keep: Keep | None) -> Keep:
    if keep is None:
        raise ValueError("this engine keeps the faces that it finds: say where and under which name")
    return keep
