"""How connections behave: SQLite's pragmas, when a transaction takes the write lock, and pools.

SQLite lets one writer in at a time. A transaction that starts as a reader and then wants to write fails at once when
somebody wrote meanwhile, whatever the busy timeout. So writers say BEGIN IMMEDIATE and queue up for the lock, readers
say BEGIN and never wait. Writing happens under `writing()` only, which `queueing.unit_of_work` opens; what a request
read before is read again inside, so a decision never rests on a state that has passed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from webapp.extensions import db
from webapp.settings import Settings

BUSY_MILLISECONDS = 30_000
_writing: ContextVar[bool] = ContextVar("writing", default=False)


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options for SQLAlchemy's engine: enough connections for every thread, and none that died in between."""
    options: dict[str, Any] = {
        "pool_size": max(settings.db_pool_size, settings.threads),
        "max_overflow": settings.db_max_overflow,
        # Errors end up in the log; names, addresses and vectors have no business there.
        "hide_parameters": True,
    }
    if settings.is_sqlite:
        options["connect_args"] = {"timeout": BUSY_MILLISECONDS / 1000}
    else:
        options |= {"pool_pre_ping": True, "pool_recycle": 1800}
    return options


def prepare(engine: Engine) -> None:
    """Attach the listeners to an engine; those of SQLite only where it is SQLite."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)


@contextmanager
def reading() -> Iterator[None]:
    """The transaction ends with the block, so that slow work after it holds nothing."""
    db.session.rollback()
    try:
        yield
    finally:
        db.session.rollback()


@contextmanager
def writing() -> Iterator[None]:
    """The next transaction will write. It starts with the block's first statement; the caller commits it inside."""
    if _writing.get():
        raise RuntimeError("units of work don't nest: the inner one would commit half of the outer one")
    db.session.rollback()
    mark = _writing.set(True)
    try:
        yield
    finally:
        db.session.rollback()
        _writing.reset(mark)


def _configure_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() else "BEGIN")
