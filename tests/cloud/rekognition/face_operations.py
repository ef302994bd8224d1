"""Faces of pictures: found, kept, and searched by."""

import uuid
from collections.abc import Iterable

from tests.cloud.rekognition import quality
from tests.cloud.rekognition.account import MODEL_VERSION, Collection, KeptFace
from tests.cloud.rekognition.engine import SeenFace, similarity
from tests.cloud.rekognition.service import Service
from tests.cloud.rekognition.wire import Message, ServiceError
from webapp.faces.core.protocols import Vector

MOST_INDEXED = 100
MOST_MATCHES = 4096
USUAL_MATCHES = 80
THRESHOLD = 80.0


def detect_faces(service: Service, request: Message) -> Message:
    attributes = frozenset(request.get("Attributes", []))
    return {"FaceDetails": [face.detail(attributes) for face in service.look(request)[:MOST_INDEXED]]}


def index_faces(service: Service, request: Message) -> Message:
    """Keeps the largest faces that pass the filter, each under a new id, even if the same picture was here before."""
    with service.collection(request):
        pass  # A missing collection is said before the picture is looked at.
    faces = service.look(request)
    kept, unindexed = _sort_out(faces, request)
    attributes = frozenset(request.get("DetectionAttributes", []))
    image_id, external_id = str(uuid.uuid4()), request.get("ExternalImageId")
    records = []
    with service.collection(request) as collection:
        for face in kept:
            new = KeptFace(face.vector, face.box, face.confidence, image_id, external_id)
            collection.faces[new.face_id] = new
            records.append({"Face": collection.describe(new), "FaceDetail": face.detail(attributes)})
    return {
        "FaceRecords": records,
        "FaceModelVersion": MODEL_VERSION,
        "UnindexedFaces": [{"Reasons": reasons, "FaceDetail": face.detail(attributes)} for face, reasons in unindexed],
    }


def search_faces(service: Service, request: Message) -> Message:
    """By a face of the same collection, which is not among its own matches."""
    with service.collection(request) as collection:
        probe = collection.faces.get(request["FaceId"])
        if probe is None:
            message = f"faceId {request['FaceId']} was not found in the collection"
            raise ServiceError("InvalidParameterException", message)
        others = [face for face in collection.faces.values() if face is not probe]
        return {
            "SearchedFaceId": probe.face_id,
            "FaceMatches": _matches(service, request, collection, probe.vector, others),
            "FaceModelVersion": MODEL_VERSION,
        }


def search_faces_by_image(service: Service, request: Message) -> Message:
    """By the largest face of a picture."""
    with service.collection(request):
        pass  # As above.
    probe = service.probe(request)
    if probe is None:
        raise ServiceError("InvalidParameterException", "There are no faces in the image. Should be at least 1.")
    with service.collection(request) as collection:
        return {
            "SearchedFaceBoundingBox": probe.box,
            "SearchedFaceConfidence": probe.confidence,
            "FaceMatches": _matches(service, request, collection, probe.vector, collection.faces.values()),
            "FaceModelVersion": MODEL_VERSION,
        }


def _sort_out(faces: list[SeenFace], request: Message) -> tuple[list[SeenFace], list[tuple[SeenFace, list[str]]]]:
    """Those to be kept, and the others with the reasons why not, both with the largest first."""
    most = min(request.get("MaxFaces", MOST_INDEXED), MOST_INDEXED)
    level = request.get("QualityFilter", "AUTO")
    kept: list[SeenFace] = []
    others: list[tuple[SeenFace, list[str]]] = []
    for face in faces:
        reasons = quality.reasons(face, level)
        if not reasons and len(kept) >= most:
            reasons = ["EXCEEDS_MAX_FACES"]
        if reasons:
            others.append((face, reasons))
        else:
            kept.append(face)
    return kept, others


def _matches(
    service: Service, request: Message, collection: Collection, probe: Vector, faces: Iterable[KeptFace]
) -> list[Message]:
    """`FaceMatches`: the most similar first, cut at MaxFaces without a word."""
    threshold = request.get("FaceMatchThreshold", THRESHOLD)
    scored = [(similarity(float(probe @ face.vector)), face) for face in faces]
    scored = sorted((pair for pair in scored if pair[0] >= threshold), key=lambda pair: (-pair[0], pair[1].serial))
    most = service.most_answers(request, "MaxFaces", USUAL_MATCHES, MOST_MATCHES)
    return [{"Similarity": score, "Face": collection.describe(face)} for score, face in scored[:most]]
