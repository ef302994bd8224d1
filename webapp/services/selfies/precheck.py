"""Whether a picture would do as a selfie, asked before anybody has signed up or agreed to anything.

The web process looks at the file's head alone. The picture itself is looked at by a worker, on this machine even where
events are searched by a service: nobody has agreed to a service yet, and no event pays for the call. Faces are found,
and their size, light, sharpness and turn measured; no template of a face is computed, since nobody has agreed to that
either. What only the template's length tells, whether the face is clear enough to be known again, is left to the check
after consent.

The picture lies in the store only while it is asked about, for PATIENCE seconds at most; nothing of it, nor of the
answer, is kept. Request and worker both delete it. Only where both were killed in those seconds does it stay, until a
worker tidies up: for LEFT_BEHIND seconds, and ten minutes more at most while a worker runs.
"""

import io
import time
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import IO, get_args

import redis
from flask import current_app

from webapp.clock import utcnow
from webapp.db.columns import new_public_id
from webapp.db.extensions import db
from webapp.errors import Invalid, NotFound, TooLarge, UnsupportedType
from webapp.faces.core.protocols import Angle
from webapp.pictures import imaging
from webapp.queueing import CHECK_PICTURE, connection, try_enqueue
from webapp.services.core import blobs, engines

PATIENCE = 2.0
"""Seconds for which a request waits for its verdict."""

AT_ONCE = 4
"""Requests of one process that may send a picture or wait at the same time, so that most of its threads stay free for
pages.
"""

LEFT_BEHIND = 600
"""Seconds after which nobody waits for a verdict any more, whatever happened."""

_FOLDER = "prechecks/"
_FINE = "fine"
_KEPT_SECONDS = 10
_slots = BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a picture: it would do, it would not and why, or nothing yet (`valid` is None)."""

    valid: bool | None
    reason: str | None


UNKNOWN = Verdict(None, "checking")


def enter() -> bool:
    """Take one of the AT_ONCE places without waiting; call it before the picture is read. `leave` gives it back."""
    return _slots.acquire(blocking=False)


def leave() -> None:
    """Give back the place that `enter` took."""
    _slots.release()


def ask(stream: IO[bytes], angle: str = "front") -> Verdict:
    """Have a picture looked at that shows a face from this angle, and wait for the verdict for PATIENCE seconds at
    most. Runs in a web process, in a place that `enter` took.

    Raises:
        Invalid: no such angle.
        Transient: the picture can't be stored for the worker now.
    """
    if angle not in get_args(Angle):
        raise Invalid(code="angle_invalid", fields={"angle": "angle_invalid"})
    fault = _fault_of_file(stream)
    if fault is not None:
        return Verdict(False, fault)
    # No transaction is held while a picture is stored, nor while somebody waits.
    db.session.rollback()
    return _ask_worker(stream, angle)


def judge(key: str) -> None:
    """Look at a picture that a request asks about, and answer it; runs in a worker.

    Where nobody waits any more, the picture is gone, and nothing happens.

    Raises:
        Transient: the picture can't be read now.
    """
    settings = current_app.extensions["settings"]
    place = _place(key)
    try:
        with blobs.store().open(place) as stream:
            decoded = imaging.decode(stream, max_megapixels=settings.max_megapixels)
        reason = engines.onlooker().look_at_selfie(decoded.frame, _angle(key))
    except NotFound:
        return
    except (UnsupportedType, Invalid, TooLarge) as error:
        reason = error.code
    finally:
        # The request removes it as well, unless its process has ended.
        blobs.store().delete(place)
    answers = connection().pipeline()
    answers.rpush(_box(key), reason or _FINE)
    answers.expire(_box(key), _KEPT_SECONDS)
    answers.execute()


def _fault_of_file(stream: IO[bytes]) -> str | None:
    """What the file's size and head say against it."""
    settings = current_app.extensions["settings"]
    if stream.seek(0, io.SEEK_END) > settings.max_selfie_mb * 1024 * 1024:
        return "selfie_too_large"
    stream.seek(0)
    try:
        imaging.probe(stream, max_megapixels=settings.max_megapixels)
    except (UnsupportedType, Invalid, TooLarge) as error:
        return error.code
    return None


def _ask_worker(stream: IO[bytes], angle: str) -> Verdict:
    until = time.monotonic() + PATIENCE
    key = f"{int(utcnow().timestamp()):x}-{new_public_id()}-{angle}"
    blobs.store().put(_place(key), stream)
    try:
        if not try_enqueue(CHECK_PICTURE, key):
            return UNKNOWN
        told = _wait(key, until)
    except redis.RedisError:
        return UNKNOWN
    finally:
        blobs.store().delete(_place(key))
    if told is None:
        return UNKNOWN
    return Verdict(True, None) if told == _FINE else Verdict(False, told)


def _wait(key: str, until: float) -> str | None:
    """The worker's word, or None when it has not come in time."""
    while (left := until - time.monotonic()) > 0:
        # In steps shorter than the client's own patience with a silent Redis; 0 would be for ever.
        told = connection().blpop([_box(key)], timeout=max(0.01, min(left, 1.0)))
        if told is not None:
            word = told[1]
            return word if isinstance(word, str) else word.decode()
    return None


def forget_left_behind() -> int:
    """Delete the pictures of requests whose process ended while they waited; returns how many. Runs in a worker."""
    count, before = 0, utcnow().timestamp() - LEFT_BEHIND
    for place in list(blobs.store().keys(_FOLDER)):
        asked_at = place.removeprefix(_FOLDER).partition("-")[0]
        if not asked_at.isalnum() or int(asked_at, 16) < before:
            blobs.store().delete(place)
            count += 1
    return count


def _angle(key: str) -> Angle:
    """The angle that a key ends with; those of the version before end with none."""
    return "left" if key.endswith("-left") else "right" if key.endswith("-right") else "front"


def _place(key: str) -> str:
    return _FOLDER + key


def _box(key: str) -> str:
    return f"findme:precheck:{key}"
