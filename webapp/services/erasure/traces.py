"""Traces of erased faces: in SQLite's write-ahead log and free pages, and in the memory of workers.

Each transaction that deletes rows with face vectors, or rows on which such rows hang, also raises a version. While the
log was last truncated at an earlier version, a checkpoint is owed: a job makes it, and the sweeper asks for that job
until it has succeeded. Workers that see another version drop what they hold of the events that changed.

Which rows count is found out by listening to the session, so that no service has to remember to say so. Photos that
are indexed again don't count: their faces are replaced, not erased.
"""

import secrets
from typing import Any

import redis
import structlog
from sqlalchemy import event, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from webapp.db import database
from webapp.db.columns import new_public_id
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.models import (
    ConfirmedVector,
    ErasureVersion,
    Event,
    Membership,
    Person,
    Photo,
    Selfie,
    SelfieVector,
)
from webapp.queueing import COMPACT, REMOVE_TRACES, connection, enqueue_after_commit, try_enqueue, unit_of_work
from webapp.redis_keys import ERASURES
from webapp.services.core import periodic

log = structlog.get_logger()

_ERASED = "faces_erased"
_WITH_FACES = (Event, Membership, Person, Selfie, SelfieVector, ConfirmedVector)

DUTY = "compact"
EVERY = 24 * 3600.0
"""Seconds between two times that SQLite's file is rewritten."""

MOST_BYTES = 1024**3
"""A file beyond that is not rewritten by itself: nothing can be written meanwhile."""

ATTEMPTS = 5
ATTEMPT_SECONDS = 1.0
"""For so long one attempt waits for those who read; the log can't be truncated under them."""


def version() -> int:
    """The version of the last erasure that the present transaction sees."""
    return db.session.scalar(select(ErasureVersion.version)) or 0


def is_owed() -> bool:
    """Whether SQLite's log may still hold what was erased."""
    return _is_sqlite() and _is_behind("truncated")


def remove_traces() -> bool:
    """Truncate SQLite's log; returns whether nothing is owed any more. Runs in a worker.

    Somebody who reads holds it back: after some attempts the sweeper asks for it again.
    """
    announce()
    with reading():
        erased = version()
        if not is_owed():
            return True
    if not any(database.truncate_log(db.engine, ATTEMPT_SECONDS) for _ in range(ATTEMPTS)):
        log.warning("traces.log_in_use")
        return False
    _write_down("truncated", erased)
    return True


def compact_daily() -> None:
    """Once a day after erasures, ask for SQLite's file to be rewritten.

    `secure_delete` overwrites what is deleted, but not the copies that SQLite leaves in the unused part of a page when
    it moves rows that have grown to another one.
    """
    with reading():
        wanted = _is_sqlite() and _is_behind("compacted")
    if wanted and periodic.take(DUTY, EVERY):
        try_enqueue(COMPACT, new_public_id())


def compact() -> bool:
    """Rewrite SQLite's file without its free space; returns whether that was done. Runs in a worker."""
    with reading():
        erased = version()
    size = database.file_size(db.engine)
    if size > MOST_BYTES:
        log.warning("traces.file_too_large", bytes=size)
        return False
    if not database.vacuum(db.engine):
        log.warning("traces.not_compacted")
        return False
    _write_down("compacted", erased)
    return database.truncate_log(db.engine, ATTEMPT_SECONDS)


def announce() -> None:
    """Let every worker look at the version. Never fails: without Redis they look at it by themselves."""
    try:
        connection().set(ERASURES, secrets.token_hex(8))
    except redis.RedisError as error:
        log.warning("traces.not_announced", error=type(error).__name__)


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


def _is_behind(column: str) -> bool:
    return (
        db.session.scalar(select(ErasureVersion.id).where(getattr(ErasureVersion, column) < ErasureVersion.version))
        is not None
    )


def _write_down(column: str, erased: int) -> None:
    with unit_of_work():
        at_least = getattr(ErasureVersion, column) < erased
        db.session.execute(update(ErasureVersion).where(at_least).values({column: erased}))


def _holds_faces(row: Any) -> bool:
    if isinstance(row, Photo):
        return bool(inspect(row).dict.get("faces_count", True))
    return isinstance(row, _WITH_FACES)


@event.listens_for(db.session, "after_flush")
def _rows_written(session: Session, _context: object) -> None:
    if _ERASED not in session.info and any(map(_holds_faces, session.deleted)):
        session.info[_ERASED] = True
        if _is_sqlite():
            enqueue_after_commit(REMOVE_TRACES, new_public_id())


@event.listens_for(db.session, "before_commit")
def _raise_version(session: Session) -> None:
    """The last step of the transaction: until its end, no other erasure can take its own."""
    if _ERASED not in session.info or session.in_nested_transaction():
        return
    insert = sqlite.insert if _is_sqlite() else postgresql.insert
    row = insert(ErasureVersion).values(id=1, version=1, truncated=0, compacted=0)
    again = {"version": ErasureVersion.version + 1}
    session.connection().execute(row.on_conflict_do_update(index_elements=["id"], set_=again))


@event.listens_for(db.session, "after_commit")
def _committed(session: Session) -> None:
    if not session.in_nested_transaction() and session.info.pop(_ERASED, False):
        announce()


@event.listens_for(db.session, "after_rollback")
def _undone(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_ERASED, None)
