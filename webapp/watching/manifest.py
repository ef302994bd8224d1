"""What was sent from a folder to an event: a small SQLite file outside the folder, one line a picture.

Every answer is on the disk before the next picture is begun, so whatever ends the program loses nothing.
"""

import fcntl
import hashlib
import os
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from webapp.watching.folder import Stamp

SENT = ("accepted", "duplicate")
REFUSED = "rejected"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS picture (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digest TEXT NOT NULL,
    status TEXT NOT NULL,
    photo_id TEXT,
    reason TEXT,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS picture_digest ON picture (digest);
CREATE TABLE IF NOT EXISTS event (id TEXT NOT NULL);
"""


class InUseError(Exception):
    """Another process watches this folder for this event."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a picture: `accepted`, `duplicate` or `rejected`, then with a sentence that says why."""

    stamp: Stamp
    digest: str
    status: str
    photo_id: str | None = None
    reason: str | None = None


class Manifest:
    """One folder's list for one event of one server. Serves several threads; belongs to one process at a time."""

    def __init__(self, file: Path) -> None:
        """Open or make it.

        Raises:
            InUseError: another process has it open.
        """
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held = file.with_suffix(".lock").open("a")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._held.close()
            raise InUseError(str(file)) from error
        self._turn = threading.Lock()
        self._rows = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._rows.execute("PRAGMA synchronous = FULL")
        self._rows.executescript(_SCHEMA)

    @staticmethod
    def file_for(home: Path, folder: Path, server: str, event_id: str) -> Path:
        """Where the list of this folder and event lies below `home`."""
        key = "\n".join((str(folder.resolve()), server, event_id))
        return home / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.sqlite"

    def known(self) -> dict[str, Entry]:
        """Every picture that has an answer, by its path."""
        with self._turn:
            rows = self._rows.execute("SELECT path, size, mtime_ns, digest, status, photo_id, reason FROM picture")
            return {os.fsdecode(path): Entry(Stamp(size, mtime), *rest) for path, size, mtime, *rest in rows}

    def meet(self, event_id: str) -> None:
        """Say which event the list is of. What another one of the same code was sent, this one does not have."""
        with self._turn:
            known = self._rows.execute("SELECT id FROM event").fetchone()
            if known == (event_id,):
                return
            self._rows.execute("BEGIN IMMEDIATE")
            with self._rows:
                if known is not None:
                    self._rows.execute("DELETE FROM picture")
                    self._rows.execute("DELETE FROM event")
                self._rows.execute("INSERT INTO event (id) VALUES (?)", (event_id,))

    def sent_before(self, digest: str) -> Entry | None:
        """The same bytes under another name, as after a rename: they need not be sent again."""
        with self._turn:
            row = self._rows.execute(
                "SELECT size, mtime_ns, digest, status, photo_id, reason FROM picture "
                "WHERE digest = ? AND status IN (?, ?) LIMIT 1",
                (digest, *SENT),
            ).fetchone()
        return Entry(Stamp(row[0], row[1]), *row[2:]) if row else None

    def write(self, path: str, entry: Entry) -> None:
        """Note an answer; it is on the disk when this returns."""
        stamp = entry.stamp
        with self._turn:
            self._rows.execute(
                "INSERT OR REPLACE INTO picture (path, size, mtime_ns, digest, status, photo_id, reason) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (_storable(path), stamp.size, stamp.mtime_ns, entry.digest, entry.status, entry.photo_id, entry.reason),
            )

    def counts(self) -> Counter[str]:
        """Pictures by their status."""
        with self._turn:
            return Counter(dict(self._rows.execute("SELECT status, count(*) FROM picture GROUP BY status")))

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            self._rows.close()
        self._held.close()


def _storable(path: str) -> str | bytes:
    """A path as SQLite takes it: names from old cards and drives are not always text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path
