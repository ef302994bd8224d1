"""Who migrates, and how it waits: one machine at a time, without holding up those who use the database meanwhile.

PostgreSQL keeps whoever wants a table waiting in a line. A migration that waits behind one long transaction for its
exclusive lock therefore holds up every reader that comes after it. So it waits for a few seconds only, steps aside,
and tries again. Two machines that deploy at once meet at an advisory lock of the session: the second waits until the
first is done, and finds nothing to do. On SQLite the write lock does all of this.
"""

import logging
import time
from collections.abc import Callable

from alembic.util import CommandError
from flask import current_app
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from webapp.db.database import writing
from webapp.db.revisions import revisions_of

LOCK_KEY = 0x66696E646D65
"""The advisory lock's number, the same for every version: "findme" in ASCII."""

LOCK_SECONDS = 3
"""How long a migration may stand in a table's line, and hold up the others in it."""

PAUSES = (1, 2, 5, 10)
"""Seconds before each new try; after the last one it gives up."""

_SAID_EVERY = 30
# Plain lines for whoever runs `flask db upgrade`; Alembic's own loggers are silent unless a file sets them up.
log = logging.getLogger("findme.migrating")


def migrate(engine: Engine, steps: Callable[[Connection], None]) -> None:
    """Run `steps`, which opens its own transaction on the connection it gets, alone among all machines.

    Raises:
        CommandError: PostgreSQL is away, or a table stayed busy; nothing was changed. The sentence is for ops.
    """
    if engine.dialect.name != "postgresql":
        with writing(), engine.connect() as connection:
            _ignore_foreign_keys(connection)
            steps(connection)
        return
    try:
        with _connected(engine) as connection:
            # It carries settings and a lock of its own, so it never goes back to the pool; both end with it.
            connection.detach()
            _prepare(connection)
            _wait_for_turn(connection)
            _try_steps(connection, steps)
    except OperationalError as error:
        raise CommandError(
            f"The migration was broken off, and nothing is changed. PostgreSQL says: {error.orig}"
        ) from error


def require_known(connection: Connection) -> None:
    """Raises CommandError where a newer version of FindMe has migrated the database: its tables are unknown here."""
    revisions = revisions_of(connection)
    connection.rollback()  # Alembic commits only a transaction that it has begun itself
    if revisions.is_newer:
        raise CommandError(revisions.explain())


def _connected(engine: Engine) -> Connection:
    """Connect, with new tries for START_WAIT seconds: servers that start together come up in any order.

    Raises:
        OperationalError: PostgreSQL did not answer in all that time.
    """
    deadline, said = time.monotonic() + current_app.extensions["settings"].start_wait, False
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            if time.monotonic() >= deadline:
                raise
            if not said:
                log.warning("PostgreSQL does not answer yet, trying again: %s", str(error.orig).strip())
                said = True
            time.sleep(1)


def require_whole(connection: Connection) -> None:
    """Raises CommandError where a migration on SQLite leaves rows that refer to nothing. Call it before the commit."""
    if connection.dialect.name == "sqlite":
        strays = sorted({row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")})
        if strays:
            raise CommandError(f"The migration was broken off: rows of {', '.join(strays)} would refer to nothing.")


def _ignore_foreign_keys(connection: Connection) -> None:
    """SQLite changes a table by a copy in its place. Dropping the old one would delete every row that refers to it.

    The pragma does nothing inside a transaction, so it goes past SQLAlchemy, which would begin one. The connection
    carries it, so it never goes back to the pool.
    """
    connection.detach()
    raw = connection.connection.dbapi_connection
    if raw is not None:
        raw.cursor().execute("PRAGMA foreign_keys=OFF")


def _prepare(connection: Connection) -> None:
    """A migration may take its time, except where it makes others wait."""
    for name, value in (
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("lock_timeout", f"{int(LOCK_SECONDS * 1000)}ms"),
        ("application_name", "findme-migration"),
    ):
        connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})
    connection.commit()


def _wait_for_turn(connection: Connection) -> None:
    """Look again and again: a statement that waits holds a snapshot, which the migration of the other may wait for."""
    said = 0.0
    while not _is_our_turn(connection):
        if not said or time.monotonic() > said + _SAID_EVERY:
            log.warning("Another migration is running on this database; waiting for it to end.")
            said = time.monotonic()
        time.sleep(0.5)


def _is_our_turn(connection: Connection) -> bool:
    got = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}))
    connection.commit()
    return got


def _try_steps(connection: Connection, steps: Callable[[Connection], None]) -> None:
    for pause in (*PAUSES, None):
        try:
            steps(connection)
            return
        except OperationalError as error:
            if not isinstance(error.orig, (LockNotAvailable, DeadlockDetected)):
                raise
            connection.rollback()
            statement = " ".join((error.statement or "").split())[:200]
            holders = _open_transactions(connection)
            if pause is None:
                raise CommandError(
                    f"The migration gave up, and nothing is changed: other sessions kept busy what it needed for "
                    f"`{statement}`. Open transactions: {holders}. Try again when they have ended."
                ) from error
            log.warning("Busy, trying again in %s s: `%s`. Open transactions: %s.", pause, statement, holders)
            time.sleep(pause)


def _open_transactions(connection: Connection) -> str:
    """Who may be in the way, the oldest first; without what they run, which may hold personal data."""
    rows = connection.execute(
        text(
            "SELECT pid, application_name, state, extract(epoch FROM now() - xact_start)::int AS seconds "
            "FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
            "AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 5"
        )
    ).all()
    connection.rollback()
    told = [f"{row.application_name or 'unnamed'} (pid {row.pid}, {row.state}, for {row.seconds} s)" for row in rows]
    return ", ".join(told) or "none by now"
