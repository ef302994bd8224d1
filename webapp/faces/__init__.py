"""Face engines. Callers know the protocols and the two functions here; the implementations are loaded on demand."""

from webapp.errors import ConfigurationError
from webapp.faces import local
from webapp.faces.protocols import FaceAnalyzer, FaceIndex
from webapp.settings import Settings

__all__ = ["engine_identity", "load_analyzer", "load_index"]


def engine_identity(settings: Settings) -> tuple[str, str]:
    """Name and version of the engine that the settings choose, without loading any model.

    Both are stored beside every vector: only vectors of one name and version are ever compared.

    Raises:
        ConfigurationError: the engine is not built yet.
    """
    _refuse_unbuilt(settings)
    return local.ENGINE, local.VERSION


def load_analyzer(settings: Settings) -> FaceAnalyzer:
    """The engine that the settings choose, with its models in memory (about 100 MB and half a second).

    Call it once per worker process, after any fork. The import happens here, so that processes which only ask for the
    identity never load ONNX Runtime or OpenCV.

    Raises:
        ConfigurationError: the engine is not built yet, or its weights are missing or not the expected ones.
    """
    _refuse_unbuilt(settings)
    from webapp.faces.local.analyzer import LocalFaceAnalyzer

    return LocalFaceAnalyzer.load(settings.models_dir)


def load_index(settings: Settings) -> FaceIndex:
    """An empty index of the engine that the settings choose; one per worker process.

    Raises:
        ConfigurationError: the engine is not built yet.
    """
    _refuse_unbuilt(settings)
    from webapp.faces.local.index import LocalFaceIndex

    return LocalFaceIndex()


def _refuse_unbuilt(settings: Settings) -> None:
    if settings.face_engine != "local":
        raise ConfigurationError(
            f"FACE_ENGINE={settings.face_engine} is not built yet; it comes with the cloud engines. "
            "Set FACE_ENGINE=local, or leave it out, to match faces on this machine."
        )
