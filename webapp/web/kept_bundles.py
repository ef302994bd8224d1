"""Files of other deployments, kept in Redis for a day, for pages that are open in browsers.

While two versions serve side by side, and after a new one has replaced the old, a browser may ask any web process for a
file of either. Each process puts its own here when it starts, and again each hour, so that a file is still there a day
after the last process that had it has ended. It gives an attacker nothing new: with write access to Redis they can have
the workers run any job already.
"""

import gzip
import mimetypes
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import redis
import structlog
from flask import Flask, current_app

from webapp.queueing import connection

log = structlog.get_logger()

DAY, HOUR, MINUTE = 24 * 3600, 3600, 60
KEPT_SECONDS = DAY + HOUR

PAUSE = 5
"""Seconds for which a Redis that did not answer is not asked for files."""

_ASKED_AGAIN_AT = "bundles_asked_again_at"


def _key(name: str) -> str:
    return f"findme:bundle:{name}"


@dataclass(frozen=True)
class Kept:
    """A file as it is kept."""

    name: str
    compressed: bytes

    @property
    def content(self) -> bytes:
        """The file itself."""
        return gzip.decompress(self.compressed)

    @property
    def mimetype(self) -> str:
        """What its name says it is."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def find(name: str) -> Kept | None:
    """A file of any deployment of the last day; None where there is none, or where Redis is away.

    A Redis that hangs takes two seconds of a thread, so it is not asked again at once.
    """
    if time.monotonic() < current_app.extensions.get(_ASKED_AGAIN_AT, 0.0):
        return None
    try:
        compressed = connection().get(_key(name))
    except redis.RedisError:
        current_app.extensions[_ASKED_AGAIN_AT] = time.monotonic() + PAUSE
        return None
    return Kept(name, compressed) if isinstance(compressed, bytes) else None


def keep(folder: Path, names: Iterable[str]) -> None:
    """Put files of a folder into Redis; those that are there already stay another day.

    A later build may have removed some from the folder.

    Raises:
        redis.RedisError: Redis is away.
        OSError: a file can't be read.
    """
    store = connection()
    for name in names:
        with suppress(FileNotFoundError):
            if not store.expire(_key(name), KEPT_SECONDS):
                store.set(_key(name), gzip.compress((folder / name).read_bytes(), 9, mtime=0), ex=KEPT_SECONDS)


def keep_for_ever(app: Flask, folder: Path, names: Iterable[str]) -> None:
    """Keep files of a folder as long as this process lives, from a thread of its own."""

    def run() -> None:
        while True:
            pause = HOUR
            try:
                with app.app_context():
                    keep(folder, names)
            except (redis.RedisError, OSError) as error:
                log.warning("bundles.not_kept", error=type(error).__name__)
                pause = MINUTE
            time.sleep(pause)

    threading.Thread(target=run, name="keep-bundles", daemon=True).start()
