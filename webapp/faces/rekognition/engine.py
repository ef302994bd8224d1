"""Puts the engine's parts together; imported only where faces are worked on."""

import redis

from webapp import aws
from webapp.faces.core.protocols import Meter
from webapp.faces.rekognition.analyzer import RekognitionAnalyzer
from webapp.faces.rekognition.client import Client
from webapp.faces.rekognition.index import RekognitionIndex
from webapp.faces.rekognition.quotas import Buckets
from webapp.settings import Settings


def load(
    settings: Settings, meter: Meter, connection: redis.Redis, *, attempts: int = aws.MAX_ATTEMPTS
) -> tuple[RekognitionAnalyzer, RekognitionIndex]:
    """The analyzer and the index, which is the UserVectors as well. Nothing is called yet.

    connection: where the installation's buckets of calls are kept. attempts: of each call, the first included.
    """
    client = Client(settings, meter, Buckets(settings, connection), attempts=attempts)
    return RekognitionAnalyzer(client), RekognitionIndex(client)
