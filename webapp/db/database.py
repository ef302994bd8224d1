"""How connections behave: SQLite's pragmas, when a transaction takes the write lock, and pools.

SQLite lets one writer in at a time. A transaction that starts as a reader and then wants to write fails at once when
somebody wrote meanwhile, whatever the busy timeout. So writers say BEGIN IMMEDIATE and queue up for the lock, readers
say BEGIN and never wait. Writing happens under `writing()` only, which `queueing.unit_of_work` opens; what a request
read before is read again inside, so a decision never rests on a state that has passed.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast
from weakref import WeakSet

import structlog
from flask import Flask
from sqlalchemy import URL, Connection, Engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from webapp.db.extensions import db
from webapp.settings import Settings

log = structlog.get_logger()

BUSY_MILLISECONDS = 30_000
CONNECT_SECONDS = 5
POOL_SECONDS = 30
_writing: ContextVar[bool] = ContextVar("writing", default=False)
_engines: WeakSet[Engine] = WeakSet()
_SQLITE_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options for SQLAlchemy's engine: how many connections, and how they behave.

    SQLite gets one for every thread of a web process, with those for bodies that are read while they come
    (webapp/web_worker/worker.py): a connection is an open file. PostgreSQL's are dear, so DB_POOL_SIZE and
    DB_MAX_OVERFLOW hold exactly; where threads outnumber them, a thread waits for one up to POOL_SECONDS.
    """
    # Errors end up in the log; names, addresses and vectors have no business there.
    options: dict[str, Any] = {"hide_parameters": True, "max_overflow": settings.db_max_overflow}
    if settings.is_sqlite:
        return options | {
            "pool_size": max(settings.db_pool_size, settings.threads + max(1, settings.threads // 2)),
            "connect_args": {"timeout": BUSY_MILLISECONDS / 1000},
        }
    return options | {
        "pool_size": settings.db_pool_size,
        "pool_timeout": POOL_SECONDS,
        # One that died meanwhile (a restart, a firewall) is replaced before it is used.
        "pool_pre_ping": True,
        "pool_recycle": settings.db_pool_recycle,
        "connect_args": _postgres_options(make_url(settings.database_url), settings),
    }


def _postgres_options(url: URL, settings: Settings) -> dict[str, Any]:
    """Parameters of libpq; what DATABASE_URL says itself counts more."""
    wished = {
        "application_name": _program(),
        "connect_timeout": CONNECT_SECONDS,
        # A server that has vanished without a word is noticed in a minute, not after the system's two hours.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    limits = {
        "statement_timeout": settings.db_statement_timeout,
        "lock_timeout": settings.db_lock_timeout,
        # Between two statements of a transaction nothing slow happens: twice a statement's time means a lost client.
        "idle_in_transaction_session_timeout": 2 * settings.db_statement_timeout,
    }
    flags = [f"-c {name}={seconds}s" for name, seconds in limits.items() if seconds]
    if flags:  # no word at all where nothing is wished for: some connection poolers refuse any
        # The last one counts.
        wished["options"] = " ".join([*flags, str(url.query.get("options", ""))]).strip()
    return {name: value for name, value in wished.items() if name == "options" or name not in url.query}


def _program() -> str:
    """How we are called in PostgreSQL's list of sessions: findme-web, findme-worker, findme-flask."""
    name = Path(sys.argv[0]).name
    return "findme-" + {"gunicorn": "web", "rq": "worker"}.get(name, name)


def init_app(app: Flask) -> None:
    """End each request's transaction so that a server that goes away just then spoils no answer. Call it after
    `db.init_app`, whose own ending finds nothing left to do.
    """
    app.teardown_appcontext(_end_session)


def _end_session(_error: BaseException | None) -> None:
    try:
        db.session.remove()
    except SQLAlchemyError as error:
        if not is_passing(error):
            raise
        # What was to be kept is committed; the rollback of what was only read is done by the server itself.
        db.session.registry.clear()
        log.warning("database.away_at_the_end", error=type(getattr(error, "orig", None) or error).__name__)


def prepare(engine: Engine) -> None:
    """Attach the listeners to an engine; those of SQLite only where it is SQLite."""
    _engines.add(engine)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "checkin", _release_pages)


def is_passing(error: SQLAlchemyError) -> bool:
    """Whether the same may work in a while: the database is away, restarting or too busy, or it took too long.

    What never passes by itself, such as a missing table, is a fault of ours.
    """
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # The low byte is the code, the rest says more of it.
        return getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _SQLITE_PASSING
    return error.connection_invalidated or isinstance(error, OperationalError)


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


@contextmanager
def beside(engine: Engine) -> Iterator[Connection]:
    """A writing transaction beside the session's, on a connection of its own, committed at the end of the block.

    For books that are kept whatever becomes of the work around them. The session may be reading meanwhile.

    Raises:
        RuntimeError: inside a unit of work, whose lock on SQLite this would wait for in vain.
    """
    if _writing.get():
        raise RuntimeError("nothing is written beside a unit of work: the two would wait for each other")
    mark = _writing.set(True)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        _writing.reset(mark)


def is_read_only(connection: Connection) -> bool:
    """Whether PostgreSQL refuses writes on this connection, as a standby does after a failover."""
    return connection.dialect.name == "postgresql" and connection.scalar(text("SHOW transaction_read_only")) == "on"


def truncate_log(engine: Engine, seconds: float) -> bool:
    """Move all of SQLite's write-ahead log to the database file and truncate it; waits up to `seconds` for readers.

    Returns False where one held it back. No transaction of this thread may be open.
    """
    with _alone(engine, seconds) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


def vacuum(engine: Engine) -> bool:
    """Rewrite SQLite's file so that nothing but its rows is in it; returns False where it was in use for too long, or
    there is no room for the copy. Nothing can be written meanwhile, and no transaction of this thread may be open.
    """
    with _alone(engine, BUSY_MILLISECONDS / 1000) as connection:
        connection.execute("PRAGMA temp_store=FILE")  # the copy can be large
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _SQLITE_PASSING:
                raise
            return False
        finally:
            connection.execute("PRAGMA temp_store=MEMORY")
    return True


def file_size(engine: Engine) -> int:
    """Bytes of SQLite's file, without its log."""
    with _alone(engine, 0) as connection:
        (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
        return int(pages * size)


@contextmanager
def _alone(engine: Engine, seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection of SQLite's outside any transaction, which waits for others for this long."""
    pooled = engine.raw_connection()
    try:
        connection = cast("sqlite3.Connection", pooled.driver_connection)
        connection.execute(f"PRAGMA busy_timeout={round(seconds * 1000)}")
        try:
            yield connection
        finally:
            connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    finally:
        pooled.close()


def _configure_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        # ON and not FAST: what is deleted is overwritten also in pages that are free from then on.
        "secure_delete=ON",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _release_pages(connection: sqlite3.Connection | None, _entry: ConnectionPoolEntry) -> None:
    """An idle connection caches no pages: what is erased from the file would live on in them until its next use."""
    if connection is not None:
        connection.execute("PRAGMA shrink_memory")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() else "BEGIN")


def _forget_connections() -> None:
    """A forked process opens connections of its own: two that talk over one socket would get each other's answers."""
    for engine in list(_engines):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)
