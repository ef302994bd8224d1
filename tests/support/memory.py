"""What tests do once a process instead of once a test: the same few pictures go through the app by the thousand.

Each of these is a function of its input alone, and is tested without a memory where it is the subject.
"""

import copy
import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any, TypeVar

import pytest
from argon2 import PasswordHasher

from tests.support import faces
from webapp.faces.core.protocols import Angle, DetectedFace, Frame, Keep, SelfieCheck
from webapp.faces.local.analyzer import LocalFaceAnalyzer
from webapp.pictures import imaging
from webapp.services.accounts import accounts

T = TypeVar("T")

PRODUCTION_HASHER = accounts._hasher
"""How passwords are hashed everywhere but in tests: 25 ms each."""


class Memory:
    """Answers by what was asked; the ones that were asked for longest ago are forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, Any] = OrderedDict()

    def recall(self, key: Hashable, find_out: Callable[[], T]) -> T:
        """The answer to a question; whatever finding it out raises is not remembered."""
        found: T = self._known.pop(key) if key in self._known else find_out()
        self._known[key] = found
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return found


class Remembering:
    """The local engine, which looks at each picture once."""

    def __init__(self, engine: LocalFaceAnalyzer) -> None:
        self._engine = engine
        self._seen = Memory(5000)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def photo_faces(self, frame: Frame, keep: Keep | None = None) -> list[DetectedFace]:
        found = self._seen.recall(("photo", *_pixels(frame)), lambda: self._engine.photo_faces(frame, keep))
        return copy.deepcopy(found)  # whoever changes an answer changes their own

    def check_selfie(self, frame: Frame, angle: Angle = "front", keep: Keep | None = None) -> SelfieCheck:
        found = self._seen.recall((angle, *_pixels(frame)), lambda: self._engine.check_selfie(frame, angle, keep))
        return copy.deepcopy(found)

    def look_at_selfie(self, frame: Frame, angle: Angle = "front") -> str | None:
        return self._seen.recall(("look", angle, *_pixels(frame)), lambda: self._engine.look_at_selfie(frame, angle))


@cache
def engine() -> Remembering:
    """One for all tests of this process."""
    return Remembering(faces.analyzer())


@contextmanager
def at_work() -> Iterator[None]:
    """Within the block the app remembers pictures, and passwords are hashed with the least effort."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(imaging, "decode", _decode)
        patched.setattr(imaging, "renditions", _renditions)
        patched.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


_decoded = Memory(40)  # of some MB each
_rendered = Memory(2000)
_really_decode, _really_render = imaging.decode, imaging.renditions


def _decode(stream: IO[bytes], **options: Any) -> imaging.Decoded:
    content = stream.read()
    key = (hashlib.sha256(content).digest(), *sorted(options.items()))
    return _decoded.recall(key, lambda: _really_decode(io.BytesIO(content), **options))


def _renditions(frame: Frame) -> imaging.Renditions:
    return _rendered.recall(_pixels(frame), lambda: _really_render(frame))


def _pixels(frame: Frame) -> tuple[object, ...]:
    """Equal for equal pictures only."""
    return frame.shape, hash(frame.tobytes())
