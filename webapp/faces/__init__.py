"""Face engines, and the one place that chooses between them: they find faces in pictures and say how alike two are.

Who is searched for, and what a similarity means, is never decided here. Callers know the protocols and the functions
here; implementations are loaded on demand.
"""

from dataclasses import dataclass

import redis

from webapp.errors import ConfigurationError
from webapp.faces import local, rekognition
from webapp.faces.core.protocols import FaceAnalyzer, FaceIndex, Meter, SelfieOnlooker, UserVectors
from webapp.settings import Settings

__all__ = ["Engine", "engine_identity", "load_engine"]


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts of one engine."""

    analyzer: FaceAnalyzer
    index: FaceIndex
    users: UserVectors | None = None
    """Only where the engine makes one vector of several pictures of a person by itself."""
    onlooker: SelfieOnlooker | None = None
    """Only where a selfie can be looked at on this machine, without a template of the face in it."""


def engine_identity(settings: Settings) -> tuple[str, str]:
    """Name and version of the engine that the settings choose for new events, without loading any model.

    Both are stored beside every vector: only vectors of one name and version are ever compared. A service tells its
    version when the event's galleries are made; until then it is empty.
    """
    if settings.face_engine == rekognition.ENGINE:
        return rekognition.ENGINE, ""
    return local.ENGINE, local.VERSION


def load_engine(name: str, settings: Settings, meter: Meter, connection: redis.Redis) -> Engine:
    """An engine by the name that an event carries, ready for work (the local one: 100 MB and half a second).

    Call it once per worker process, after any fork. The imports happen here, so that processes which only ask for the
    identity never load ONNX Runtime, OpenCV or boto3.

    Raises:
        ConfigurationError: there is no such engine, it is not set up, or its weights are missing or not the expected
            ones.
    """
    if name == local.ENGINE:
        from webapp.faces.local.analyzer import LocalFaceAnalyzer
        from webapp.faces.local.index import LocalFaceIndex

        analyzer = LocalFaceAnalyzer.load(settings.models_dir)
        return Engine(analyzer, LocalFaceIndex(), onlooker=analyzer)
    if name == rekognition.ENGINE:
        from webapp.faces.rekognition.engine import load

        service, galleries = load(settings, meter, connection)
        return Engine(service, galleries, galleries)
    raise ConfigurationError(f"There is no face engine {name!r}: events name one that this version does not have.")
