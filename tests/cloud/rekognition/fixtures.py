"""Fixtures of the contract tests of the stand-in; imported by name where they are used."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.rekognition import RekognitionServer, rekognition
from tests.cloud.rekognition.clients import KEY, REGION, SECRET, client


@pytest.fixture
def server() -> Iterator[RekognitionServer]:
    """An empty account that checks signatures. Whatever it answers has to be in the service's model."""
    with rekognition(keys={KEY: SECRET}, region=REGION) as running:
        yield running
    assert running.faults_of_its_own == []


@pytest.fixture
def cloud(server: RekognitionServer) -> Any:
    """A client of boto3's that tries once."""
    return client(server.url)


@pytest.fixture
def event(cloud: Any) -> str:
    """A collection."""
    cloud.create_collection(CollectionId="event-photos")
    return "event-photos"
