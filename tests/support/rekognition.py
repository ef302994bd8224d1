"""The Rekognition engine for tests: its parts over the test server, a Valkey, and books of calls that can be read."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cloud.rekognition import RekognitionServer
from tests.support import faces
from tests.support.scenes import selfie
from tests.support.servers import Valkey
from tests.support.settings import make_settings
from webapp.errors import LimitReached
from webapp.faces.core.protocols import Box, Frame, Gallery, Keep, Probe
from webapp.faces.rekognition.analyzer import RekognitionAnalyzer
from webapp.faces.rekognition.engine import load
from webapp.faces.rekognition.index import RekognitionIndex
from webapp.settings import Settings

KEY, SECRET = "AKIDFORTESTS", "only-for-tests"
GALLERY = Gallery(1, "evt-one")
GUESTS = Gallery(1, "evt-one", "guests")
PHOTOS = "findme-evt-one-photos"
SELFIES = "findme-evt-one-guests"


@dataclass
class Books:
    """A Meter that keeps its books in memory."""

    limit: int = 10**9
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    def allow(self, event_key: str, operation: str) -> None:
        """As long as fewer than `limit` calls were counted."""
        if self.calls.total() >= self.limit:
            raise LimitReached(operation)

    def count(self, event_key: str, operation: str, calls: int = 1) -> None:
        self.calls[event_key, operation] += calls


@dataclass
class Account:
    """The engine's parts, and what they were made from."""

    server: RekognitionServer
    settings: Settings
    books: Books
    analyzer: RekognitionAnalyzer
    index: RekognitionIndex

    def faces(self, collection: str) -> dict[str, str]:
        """Face id → name of ours, as the service has them."""
        return dict(self.server.contents()[collection]["faces"])

    def users(self, collection: str = SELFIES) -> dict[str, list[str]]:
        """User → face ids, as the service has them."""
        return dict(self.server.contents()[collection]["users"])


@contextmanager
def rekognition_for_tests(
    server: RekognitionServer, redis: Valkey, *, attempts: int = 2, **changes: object
) -> Iterator[Account]:
    """An engine on an emptied account. attempts: of each call; the six of production take half a minute to fail."""
    server.forget()
    redis.client().flushall()
    settings = make_settings(Path("/nonexistent"), redis.url, **(connection(server) | changes))
    books = Books()
    analyzer, index = load(settings, books, redis.client(), attempts=attempts)
    yield Account(server, settings, books, analyzer, index)
    assert server.faults_of_its_own == []


def connection(server: RekognitionServer) -> dict[str, object]:
    """Settings that lead to the test server, at a quota that no test waits for."""
    return {
        "face_engine": "rekognition",
        "rekognition_region": "us-east-1",
        "rekognition_endpoint_url": server.url,
        "rekognition_calls_per_second": 10_000,
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
    }


def crop(frame: Frame, box: Box, margin: float = 0.5) -> bytes:
    """A JPEG of a face with some of its surroundings: what people and searches are shown of it."""
    height, width = frame.shape[:2]
    left, top = max(0, box.x - margin * box.width), max(0, box.y - margin * box.height)
    right, bottom = box.x + (1 + margin) * box.width, box.y + (1 + margin) * box.height
    part = frame[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(part)).save(file, "JPEG", quality=90)
    return file.getvalue()


@cache
def probe_of(person: str) -> Probe:
    """What a search across galleries is made with: the face cut out of the person's selfie."""
    face = faces.analyzer().check_selfie(selfie(person)).face
    assert face is not None
    return Probe(picture=crop(selfie(person), face.box))


def index_photo(account: Account, frame: Frame, name: str = "photo", *, again: bool = False) -> list[str]:
    """The ids of the faces that are kept of a photo."""
    found = account.analyzer.photo_faces(frame, Keep(GALLERY, name, again))
    return [str(face.external_id) for face in found]


def index_guest(account: Account, frame: Frame, name: str, *, again: bool = False) -> str:
    """The id of the face that is kept of a good selfie."""
    face = account.analyzer.check_selfie(frame, "front", Keep(GUESTS, name, again)).face
    assert face is not None
    return str(face.external_id)
