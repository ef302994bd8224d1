"""The Rekognition engine over its test server, for the contracts of this folder."""

from collections.abc import Iterator

import pytest

from tests.cloud.rekognition import RekognitionServer
from tests.support.rekognition import GALLERY, KEY, SECRET, Account, rekognition_for_tests
from tests.support.servers import Valkey


@pytest.fixture(scope="package")
def rekognition_server() -> Iterator[RekognitionServer]:
    """One server for all of these tests; each empties it."""
    with RekognitionServer(keys={KEY: SECRET}) as running:
        yield running


@pytest.fixture
def account(rekognition_server: RekognitionServer, redis_server: Valkey) -> Iterator[Account]:
    """An engine with both galleries of one event, and empty books."""
    with rekognition_for_tests(rekognition_server, redis_server) as made:
        made.index.prepare(GALLERY)
        rekognition_server.journal.clear()
        yield made
