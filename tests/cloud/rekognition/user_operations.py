"""Users: made of faces of the collection, and searched by face, by user and by picture."""

from tests.cloud.rekognition import quality
from tests.cloud.rekognition.account import MODEL_VERSION, Collection, User
from tests.cloud.rekognition.engine import SeenFace, similarity
from tests.cloud.rekognition.paging import page
from tests.cloud.rekognition.service import Service
from tests.cloud.rekognition.wire import Message, ServiceError
from webapp.faces.core.protocols import Vector

MOST_FACES = 100
MOST_USERS = 500
ASSOCIATION_THRESHOLD = 75.0
SEARCH_THRESHOLD = 80.0


def create_user(service: Service, request: Message) -> Message:
    with service.collection(request) as collection:
        if request["UserId"] in collection.users:
            raise ServiceError("ConflictException", f"The user id: {request['UserId']} already exists")
        collection.users[request["UserId"]] = User(request["UserId"])
        return {}


def delete_user(service: Service, request: Message) -> Message:
    """The faces stay in the collection."""
    with service.collection(request) as collection:
        del collection.users[collection.user(request["UserId"]).user_id]
        return {}


def list_users(service: Service, request: Message) -> Message:
    with service.collection(request) as collection:
        entries = list(collection.users.values())
        size = service.page_size(request, MOST_USERS)
        shown, more = page(entries, request.get("NextToken"), size, f"users {collection.name}")
        return {"Users": [_named(user) for user in shown], **more}


def associate_faces(service: Service, request: Message) -> Message:
    """Faces that the user has already are passed over; once there is one, the others have to resemble the user."""
    done: list[Message] = []
    failed: list[Message] = []
    with service.collection(request) as collection:
        user = collection.user(request["UserId"])
        wanted = [face_id for face_id in dict.fromkeys(request["FaceIds"]) if face_id not in user.faces]
        if wanted and len(user.faces) >= MOST_FACES:
            message = f"A user can have at most {MOST_FACES} faces"
            raise ServiceError("ServiceQuotaExceededException", message)
        threshold = request.get("UserMatchThreshold", ASSOCIATION_THRESHOLD)
        for face_id in wanted:
            # The model has no word for "the user is full": such a face is named without a reason.
            full = len(user.faces) >= MOST_FACES
            fault: Message | None = {"Reasons": []} if full else _why_not(collection, user, face_id, threshold)
            if fault is None:
                user.faces[face_id] = collection.faces[face_id]
                done.append({"FaceId": face_id})
            else:
                failed.append({"FaceId": face_id} | fault)
    return {"AssociatedFaces": done, "UnsuccessfulFaceAssociations": failed, "UserStatus": _changed(user, done)}


def disassociate_faces(service: Service, request: Message) -> Message:
    """Faces of the collection that are nobody's are passed over."""
    done: list[Message] = []
    failed: list[Message] = []
    with service.collection(request) as collection:
        user = collection.user(request["UserId"])
        for face_id in dict.fromkeys(request["FaceIds"]):
            owner = collection.user_of(face_id)
            if owner is user:
                del user.faces[face_id]
                done.append({"FaceId": face_id})
            elif owner is not None:
                reasons = ["ASSOCIATED_TO_A_DIFFERENT_USER"]
                failed.append({"FaceId": face_id, "UserId": owner.user_id, "Reasons": reasons})
            elif face_id not in collection.faces:
                failed.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
    return {"DisassociatedFaces": done, "UnsuccessfulFaceDisassociations": failed, "UserStatus": _changed(user, done)}


def search_users(service: Service, request: Message) -> Message:
    """By one of a face or a user of the collection; a user is not among its own matches."""
    if ("FaceId" in request) == ("UserId" in request):
        raise ServiceError("InvalidParameterException", "Request has invalid parameters: FaceId or UserId, one of both")
    with service.collection(request) as collection:
        if "UserId" in request:
            user = collection.user(request["UserId"])
            searched: Message = {"SearchedUser": {"UserId": user.user_id}}
            matches = _matches(service, request, collection, user.vector, without=user)
        else:
            face = collection.faces.get(request["FaceId"])
            if face is None:
                message = f"faceId {request['FaceId']} was not found in the collection"
                raise ServiceError("InvalidParameterException", message)
            searched = {"SearchedFace": {"FaceId": face.face_id}}
            matches = _matches(service, request, collection, face.vector)
    return {"UserMatches": matches, "FaceModelVersion": MODEL_VERSION, **searched}


def search_users_by_image(service: Service, request: Message) -> Message:
    """By the largest face of a picture. Without one there are no matches and no SearchedFace, and that is no error."""
    with service.collection(request):
        pass  # A missing collection is said before the picture is looked at.
    faces, probe = service.look(request), service.probe(request)
    level = request.get("QualityFilter", "NONE")
    with service.collection(request) as collection:
        matches = _matches(service, request, collection, probe.vector) if probe is not None else []
    return {
        "UserMatches": matches,
        "FaceModelVersion": MODEL_VERSION,
        "UnsearchedFaces": [_unsearched(face, faces[0], level) for face in faces if face is not probe],
        **({"SearchedFace": {"FaceDetail": probe.detail(frozenset())}} if probe is not None else {}),
    }


def _why_not(collection: Collection, user: User, face_id: str, threshold: float) -> Message | None:
    """What keeps a face from being the user's, as an entry of UnsuccessfulFaceAssociations without its FaceId."""
    face, owner = collection.faces.get(face_id), collection.user_of(face_id)
    if face is None:
        return {"Reasons": ["FACE_NOT_FOUND"]}
    if owner is not None:
        return {"UserId": owner.user_id, "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]}
    if user.vector is not None:
        confidence = similarity(float(user.vector @ face.vector))
        if confidence < threshold:
            return {"Confidence": confidence, "Reasons": ["LOW_MATCH_CONFIDENCE"]}
    return None


def _matches(
    service: Service, request: Message, collection: Collection, probe: Vector | None, without: User | None = None
) -> list[Message]:
    """`UserMatches`: the most similar first. Who has no faces resembles nobody."""
    if probe is None:
        return []
    threshold = request.get("UserMatchThreshold", SEARCH_THRESHOLD)
    users = [(user, user.vector) for user in collection.users.values() if user is not without]
    scored = [(similarity(float(probe @ vector)), user) for user, vector in users if vector is not None]
    scored = sorted((pair for pair in scored if pair[0] >= threshold), key=lambda pair: (-pair[0], pair[1].serial))
    most = service.most_answers(request, "MaxUsers", MOST_USERS, MOST_USERS)
    return [{"Similarity": score, "User": _named(user)} for score, user in scored[:most]]


def _unsearched(face: SeenFace, largest: SeenFace, level: str) -> Message:
    reasons = quality.reasons(face, level) if face is largest else ["FACE_NOT_LARGEST"]
    return {"FaceDetails": face.detail(frozenset()), "Reasons": reasons}


def _named(user: User) -> Message:
    return {"UserId": user.user_id, "UserStatus": user.status}


def _changed(user: User, done: list[Message]) -> str:
    """The service changes a user's vector after it has answered, and says so."""
    return "UPDATING" if done else user.status
