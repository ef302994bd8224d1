"""Migrations of a PostgreSQL that is in use: who waits for whom, for how long, and what ops are told."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from tests.integration.conftest import MakeApp, name_of_database, shown
from tests.support.servers import Postgres
from webapp.db import migrating
from webapp.db.extensions import db

OLDER = "0001"


@pytest.fixture
def older(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An app whose database is one migration behind, and a migration that is quick to step aside."""
    monkeypatch.setattr(migrating, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(migrating, "PAUSES", (0.05, 0.05))
    app = make_app()
    with app.app_context():
        downgrade(revision=OLDER)
    return app


def revision(app: Flask) -> str:
    with app.app_context(), db.engine.connect() as connection:
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


@contextmanager
def busy(app: Flask, postgres_server: Postgres) -> Iterator[None]:
    """Somebody reads for long."""
    with postgres_server.connect(name_of_database(app)) as other, other.transaction():
        other.execute("SELECT count(*) FROM person")
        yield


def test_a_migration_that_meets_a_busy_table_gives_up_and_leaves_it_usable(
    older: Flask, postgres_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with busy(older, postgres_server):
        with older.app_context(), pytest.raises(SystemExit):
            upgrade()
        assert "The migration gave up, and nothing is changed" in caplog.text
        assert "`ALTER TABLE person" in caplog.text
        assert re.search(r"Open transactions: unnamed \(pid \d+, idle in transaction, for \d+ s\)", caplog.text)
        assert len([line for line in caplog.messages if line.startswith("Busy, trying again")]) == 2
        assert revision(older) == OLDER
        with older.app_context():  # written at once, though somebody still reads
            db.session.execute(text("UPDATE person SET name = 'Ada'"))
            db.session.commit()
    with older.app_context():
        upgrade()
    assert revision(older) != OLDER
    assert shown(older, "application_name") != "findme-migration"
    assert shown(older, "statement_timeout") == "30s"


def test_a_migration_goes_on_once_the_table_is_free(
    older: Flask, postgres_server: Postgres, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "PAUSES", (0.05,) * 600)
    holding = ExitStack()
    holding.enter_context(busy(older, postgres_server))

    def let_go() -> None:
        until(lambda: "Busy, trying again" in caplog.text)
        holding.close()

    waiter = threading.Thread(target=let_go)
    waiter.start()
    with older.app_context():
        upgrade()
    waiter.join()
    assert revision(older) != OLDER


def test_a_migration_says_that_the_server_is_away(
    make_app: MakeApp, postgres_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(start_wait=1)
    postgres_server.stop()
    try:
        with app.app_context(), pytest.raises(SystemExit):
            upgrade()
    finally:
        postgres_server.start()
    assert "PostgreSQL does not answer yet, trying again" in caplog.text
    assert "PostgreSQL says: connection failed" in caplog.text


def test_a_migration_waits_for_a_server_that_is_starting(make_app: MakeApp, postgres_server: Postgres) -> None:
    app = make_app()
    postgres_server.stop()

    def migrate() -> None:
        with app.app_context():
            upgrade()

    with ThreadPoolExecutor(1) as pool:
        migration = pool.submit(migrate)
        time.sleep(1.5)
        assert not migration.done()
        postgres_server.start()
        migration.result(30)
    assert revision(app) not in (None, "")


def test_a_database_of_a_newer_version_is_not_touched(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    with app.app_context():
        upgrade()
        with db.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(SystemExit):
            upgrade()
    assert "The database is at revision 9999, newer than this version of FindMe" in caplog.text
    assert revision(app) == "9999"


def test_of_two_migrations_one_waits_for_the_other(
    older: Flask, postgres_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres_server.connect(name_of_database(older)) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [migrating.LOCK_KEY])

        def migrate() -> None:
            with older.app_context():
                upgrade()

        second = threading.Thread(target=migrate)
        second.start()
        until(lambda: "Another migration is running" in caplog.text)
        assert revision(older) == OLDER
    second.join()
    assert revision(older) != OLDER


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
