"""Collections, and the lists and deletions of their faces."""

import time

from tests.cloud.rekognition.account import MODEL_VERSION, Collection
from tests.cloud.rekognition.paging import page
from tests.cloud.rekognition.service import Service
from tests.cloud.rekognition.wire import Message, ServiceError

PAGE = 1000
MOST = 4096


def create_collection(service: Service, request: Message) -> Message:
    name = request["CollectionId"]
    with service.lock:
        if name in service.account.collections:
            message = f"The collection id: {name} already exists"
            raise ServiceError("ResourceAlreadyExistsException", message)
        collection = service.account.collections[name] = Collection(name, created=time.time())
    return {"StatusCode": 200, "CollectionArn": collection.arn, "FaceModelVersion": MODEL_VERSION}


def describe_collection(service: Service, request: Message) -> Message:
    with service.collection(request) as collection:
        return {
            "FaceCount": len(collection.faces),
            "UserCount": len(collection.users),
            "FaceModelVersion": MODEL_VERSION,
            "CollectionARN": collection.arn,
            "CreationTimestamp": collection.created,
        }


def delete_collection(service: Service, request: Message) -> Message:
    with service.collection(request) as collection:
        del service.account.collections[collection.name]
        return {"StatusCode": 200}


def list_collections(service: Service, request: Message) -> Message:
    with service.lock:
        entries = list(service.account.collections.values())
    shown, more = page(entries, request.get("NextToken"), service.page_size(request, PAGE), "collections")
    return {
        "CollectionIds": [collection.name for collection in shown],
        "FaceModelVersions": [MODEL_VERSION] * len(shown),
        **more,
    }


def list_faces(service: Service, request: Message) -> Message:
    """Faces of the collection; FaceIds and UserId narrow them down, ids that are not there count for nothing."""
    with service.collection(request) as collection:
        faces = list(collection.faces.values())
        if "FaceIds" in request:
            wanted = set(request["FaceIds"])
            faces = [face for face in faces if face.face_id in wanted]
        if "UserId" in request:
            faces = [face for face in faces if face.face_id in collection.user(request["UserId"]).faces]
        size = service.page_size(request, PAGE)
        shown, more = page(faces, request.get("NextToken"), size, f"faces {collection.name}")
        return {"Faces": [collection.describe(face) for face in shown], "FaceModelVersion": MODEL_VERSION, **more}


def delete_faces(service: Service, request: Message) -> Message:
    """Faces of users stay: they have to be disassociated first."""
    deleted: list[str] = []
    failed: list[Message] = []
    with service.collection(request) as collection:
        for face_id in dict.fromkeys(request["FaceIds"]):
            user = collection.user_of(face_id)
            if user is not None:
                reasons = ["ASSOCIATED_TO_AN_EXISTING_USER"]
                failed.append({"FaceId": face_id, "UserId": user.user_id, "Reasons": reasons})
            elif collection.faces.pop(face_id, None) is None:
                failed.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
            else:
                deleted.append(face_id)
    # The model wants at least one entry in this list, so where nothing was deleted, it is left out.
    return ({"DeletedFaces": deleted} if deleted else {}) | {"UnsuccessfulFaceDeletions": failed}
