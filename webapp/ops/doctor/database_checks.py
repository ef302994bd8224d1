"""Database: does it answer, does it fit the code, does it have room for all connections."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from webapp.db import database
from webapp.db.revisions import UPGRADE, revisions_of
from webapp.ops import starting
from webapp.ops.doctor import worker_checks
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn
from webapp.settings import Settings

WORKER_CONNECTIONS = 3
"""Connections that a worker has at a time, at most: its job's, one for books kept beside it, one for upkeep."""

FEWEST_WORKERS = 2
"""Workers that are counted at least: those that run now may be fewer than will."""

TIGHT = 0.8
"""Share of the connections from which there is little room left."""


def check_database(context: Context) -> Iterator[Finding]:
    """Connect, and look whether the session is encrypted where it leaves the machine."""
    where, begun = starting.where_database(context.settings), time.perf_counter()
    if context.settings.is_sqlite and not _file(context.settings).is_file():
        context.missing.add("database")
        yield fail("database", f"{where}: there is no such file.", UPGRADE)
        return
    try:
        with context.engine.connect() as connection:
            ms = (time.perf_counter() - begun) * 1000
            version, read_only = _version(connection), database.is_read_only(connection)
    except SQLAlchemyError as error:
        context.missing.add("database")
        yield fail("database", f"{where} can't be used: {starting.one_line(error)}.", _mend(context.settings))
        return
    if read_only:
        mend = "Let DATABASE_URL lead to the server that takes writes. Nothing is lost: web and workers wait for it."
        yield fail("database", f"{where} takes no writes: it is read-only, as a standby is.", mend)
        return
    yield ok("database", f"{where}: {version}, connected in {ms:.0f} ms")


def _mend(settings: Settings) -> str:
    if settings.is_sqlite:
        return "Look at the file and its rights. If it is damaged, restore the backup."
    return "Start it, or mend DATABASE_URL. Nothing is lost: web and workers wait for it."


def _file(settings: Settings) -> Path:
    return Path(make_url(settings.database_url).database or "")


def check_migrations(context: Context) -> Iterator[Finding]:
    """Compare the database's revision with the newest of this code."""
    if "database" in context.missing:
        return
    with context.engine.connect() as connection:
        revisions = revisions_of(connection)
    if revisions.is_current:
        yield ok("migrations", f"revision {revisions.found}, the newest")
        return
    context.missing.add("tables")
    mend = "Start the newer version of FindMe." if revisions.is_newer else "flask --app wsgi db upgrade"
    yield fail("migrations", revisions.explain(), mend)


def check_connections(context: Context) -> Iterator[Finding]:
    """Compare what all processes may open with what PostgreSQL grants."""
    if "database" in context.missing or context.settings.is_sqlite:
        return
    workers = 0 if "redis" in context.missing else len(worker_checks.alive(context.redis))
    with context.engine.connect() as connection:
        use = _use(connection, workers)
    needed = _needed(context.settings, use)
    sums = (
        f"web and workers may open {needed} connections ({use.web_machines} × {context.settings.workers} web processes "
        f"× {_of_a_process(context.settings)}, {use.workers} workers × {WORKER_CONNECTIONS}); PostgreSQL grants "
        f"{use.granted} to all, {use.taken} are open now"
    )
    mend = "Raise max_connections, or lower WORKERS or DB_POOL_SIZE and DB_MAX_OVERFLOW, or pool with PgBouncer."
    if needed > use.granted:
        yield fail("connections", f"Too few: {sums}.", mend)
    elif max(needed, use.taken) > TIGHT * use.granted:
        yield warn("connections", f"Little room: {sums}.", mend)
    else:
        yield ok("connections", sums)


@dataclass(frozen=True, slots=True)
class _Use:
    """How a PostgreSQL is used now."""

    granted: int
    taken: int
    web_machines: int
    workers: int


def _use(connection: Connection, workers: int) -> _Use:
    row = connection.execute(
        text(
            "SELECT least(current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
            " - coalesce(current_setting('reserved_connections', true), '0')::int,"
            # -1 means: as many as there are.
            " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),"
            " (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) AS granted,"
            " (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL) AS taken,"
            " (SELECT count(DISTINCT client_addr) FROM pg_stat_activity WHERE application_name = 'findme-web') AS web"
        )
    ).one()
    return _Use(row.granted, row.taken, max(1, row.web), max(FEWEST_WORKERS, workers))


def _of_a_process(settings: Settings) -> int:
    """Return the connections that a web process opens at most: no more than it has threads to use them."""
    threads = settings.threads + max(1, settings.threads // 2)
    return min(settings.db_pool_size + settings.db_max_overflow, threads)


def _needed(settings: Settings, use: _Use) -> int:
    web = use.web_machines * settings.workers * _of_a_process(settings)
    return web + use.workers * WORKER_CONNECTIONS


def _version(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        connection.execute(text("SELECT count(*) FROM sqlite_master"))
        return f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
    return f"PostgreSQL {str(connection.scalar(text('SHOW server_version'))).split()[0]}"
