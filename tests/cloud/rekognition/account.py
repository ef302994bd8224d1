"""What the account keeps: collections of faces, and the users that are made of them.

Vectors are the local engine's. A user's vector is the normalised mean of those of its faces.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from tests.cloud.rekognition.wire import Message, ServiceError
from webapp.faces.core.protocols import Vector

MODEL_VERSION = "7.0"
REGION = "us-east-1"

_serials = count(1)


@dataclass(frozen=True, slots=True, eq=False)
class KeptFace:
    """One face of a collection."""

    vector: Vector
    box: Message
    confidence: float
    image_id: str
    external_id: str | None
    face_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    serial: int = field(default_factory=lambda: next(_serials))


@dataclass(slots=True, eq=False)
class User:
    """Somebody made of faces of the collection, in the order in which they were associated."""

    user_id: str
    faces: dict[str, KeptFace] = field(default_factory=dict)
    serial: int = field(default_factory=lambda: next(_serials))

    @property
    def status(self) -> str:
        """CREATED without faces, else ACTIVE: here, updating takes no time."""
        return "ACTIVE" if self.faces else "CREATED"

    @property
    def vector(self) -> Vector | None:
        """The normalised mean of the faces, or None without any."""
        return normalised_mean(face.vector for face in self.faces.values()) if self.faces else None


@dataclass(slots=True, eq=False)
class Collection:
    """Faces that are searched as one. Not for use by several threads at once."""

    name: str
    created: float
    faces: dict[str, KeptFace] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    serial: int = field(default_factory=lambda: next(_serials))

    @property
    def arn(self) -> str:
        return f"arn:aws:rekognition:{REGION}:123456789012:collection/{self.name}"

    def user(self, user_id: str) -> User:
        """The user of that id.

        Raises:
            ServiceError: there is none.
        """
        if user_id not in self.users:
            raise ServiceError("ResourceNotFoundException", f"The user id: {user_id} does not exist")
        return self.users[user_id]

    def user_of(self, face_id: str) -> User | None:
        """The user with whom the face is associated."""
        return next((user for user in self.users.values() if face_id in user.faces), None)

    def describe(self, face: KeptFace) -> Message:
        """The face as `Face` of the service's model."""
        user = self.user_of(face.face_id)
        return {
            "FaceId": face.face_id,
            "BoundingBox": face.box,
            "ImageId": face.image_id,
            "Confidence": face.confidence,
            "IndexFacesModelVersion": MODEL_VERSION,
            **({"ExternalImageId": face.external_id} if face.external_id else {}),
            **({"UserId": user.user_id} if user else {}),
        }

    def contents(self) -> Message:
        """What a test wants to know: {"faces": {face id: external id}, "users": {user id: [face ids]}}."""
        return {
            "faces": {face.face_id: face.external_id for face in self.faces.values()},
            "users": {user.user_id: list(user.faces) for user in self.users.values()},
        }


class Account:
    """All collections by name, and the answers of calls that carried a token, so that a repeated one does nothing."""

    def __init__(self) -> None:
        self.collections: dict[str, Collection] = {}
        self.done: dict[tuple[str, str], tuple[Message, Message]] = {}

    def collection(self, name: str) -> Collection:
        """The collection of that name.

        Raises:
            ServiceError: there is none.
        """
        if name not in self.collections:
            raise ServiceError("ResourceNotFoundException", f"The collection id: {name} does not exist")
        return self.collections[name]


def normalised_mean(vectors: Iterable[Vector]) -> Vector:
    """The mean direction, (dimensions,)."""
    mean = np.mean(list(vectors), axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)
