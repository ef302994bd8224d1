"""Migrations: they lead from nothing to the models and back, on an empty database and on one that holds rows."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, select, text

from tests.support import databases
from tests.support.actors import Api, World, photos_with, selfie
from tests.support.settings import make_settings
from webapp import create_app
from webapp.db import migrating
from webapp.db.extensions import db, migrate
from webapp.models import Event, InstallationFact, Person, Photo, RematchPerson
from webapp.services.matching import rematches
from webapp.services.recovery import sweeper
from webapp.settings import Settings

pytestmark = pytest.mark.both_databases

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def empty_app(
    tmp_path: Path, redis_url: str, all_databases: databases.Databases, database_kind: str
) -> Iterator[Flask]:
    """An app on a database in which there is nothing yet."""
    template = all_databases.empty(database_kind, tmp_path)
    app = create_app(make_settings(tmp_path, redis_url, database_url=template.url))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
    template.discard(template.url)


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def differences() -> list[Any]:
    """What autogenerate would still write, with the options of our migrations/env.py."""
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "render_as_batch": True}
        context = MigrationContext.configure(connection, opts={**options, "target_metadata": db.metadata})
        return compare_metadata(context, db.metadata)


def shape() -> dict[str, Any]:
    """Tables with their columns, indexes and constraints, in an order that does not depend on how they were made."""
    inspector = inspect(db.engine)

    def plain(value: Any) -> str:
        return str({key: str(inner) for key, inner in value.items()} if isinstance(value, dict) else value)

    def listed(found: list[Any]) -> list[str]:
        return sorted(repr(sorted((key, plain(value)) for key, value in entry.items())) for entry in found)

    return {
        table: {
            "columns": listed(inspector.get_columns(table)),
            "indexes": listed(inspector.get_indexes(table)),
            "uniques": listed(inspector.get_unique_constraints(table)),
            "keys": listed(inspector.get_foreign_keys(table)),
            "primary": str(inspector.get_pk_constraint(table)),
        }
        for table in sorted(tables())
    }


def test_up_makes_what_the_models_say(empty_app: Flask) -> None:
    assert tables() == set()
    upgrade()
    assert tables() == set(db.metadata.tables)
    assert differences() == []


def test_down_leaves_nothing_and_up_again_makes_the_same(empty_app: Flask) -> None:
    upgrade()
    first = shape()
    downgrade(revision="base")
    assert tables() == set()
    upgrade()
    assert shape() == first


def test_there_is_one_head_and_every_step_leads_both_ways(empty_app: Flask) -> None:
    scripts = ScriptDirectory.from_config(migrate.get_config())
    assert len(scripts.get_heads()) == 1
    steps = [step.revision for step in scripts.walk_revisions()]
    for revision in reversed(steps):
        upgrade(revision=revision)
        downgrade(revision="-1")
        upgrade(revision=revision)
    assert differences() == []


@contextmanager
def held_up(settings: Settings) -> Iterator[None]:
    """Whoever migrates has to wait meanwhile."""
    if settings.is_sqlite:
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode=WAL")
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with db.engine.connect() as other:
            other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": migrating.LOCK_KEY})
            yield
            other.invalidate()


def has_come(process: subprocess.Popen[bytes], log: Path, settings: Settings) -> bool:
    """Whether a migration has got as far as it can while it is held up."""
    if settings.is_sqlite:
        return any(file.path.endswith(databases.SQLITE_FILE) for file in psutil.Process(process.pid).open_files())
    return "Another migration is running" in log.read_text()


def test_two_machines_that_migrate_at_once_do_it_once(empty_app: Flask, tmp_path: Path) -> None:
    settings = empty_app.extensions["settings"]
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    env |= {"DATA_DIR": str(tmp_path), "ENVIRONMENT": "development", "SECRET_KEY": "x" * 40}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    with held_up(settings):
        both = []
        for path in logs:
            with path.open("w") as log:
                both.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while not all(has_come(process, log, settings) for process, log in zip(both, logs, strict=True)):
            assert time.monotonic() < deadline, [log.read_text() for log in logs]
            time.sleep(0.05)
    assert [process.wait(60) for process in both] == [0, 0], [log.read_text() for log in logs]
    assert tables() == set(db.metadata.tables)
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_a_database_in_use_stays_as_it_is(app: Flask, world: World, api: Api) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    api.register(world.code).upload_selfie(selfie("grace"))
    world.work()
    with app.app_context():
        rows = {table: _count(table) for table in tables()}
        assert rows["match"] == rows["photo"] == 1
        db.session.rollback()
        upgrade()
        assert {table: _count(table) for table in tables()} == rows
        assert db.session.scalars(select(Photo.status)).one() == "indexed"
        db.session.rollback()
        downgrade(revision="base")
        assert tables() == set()


def test_a_rematch_that_waits_goes_on_and_old_reports_go(app: Flask, world: World, api: Api) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    api.register(world.code, "searched").upload_selfie(selfie("grace"))
    api.register(world.code, "without")
    world.work()
    with app.app_context():
        rows = {table: _count(table) for table in ("membership", "person", "selfie", "photo", "face", "match")}
        db.session.rollback()
        downgrade(revision="0004")
        requested = text("UPDATE event SET rematch_requested_at = created_at")
        fact = text("INSERT INTO installation_fact (name, value) VALUES ('rematch:EVENT', '{}'), ('other', 'kept')")
        with db.engine.begin() as connection:
            connection.execute(requested)
            connection.execute(fact)
        upgrade()
        assert {table: _count(table) for table in rows} == rows, "what refers to a changed table stays"
        assert [row.person_id for row in db.session.scalars(select(RematchPerson))] == [
            db.session.scalars(select(Person.id).where(Person.name == "searched")).one()
        ]
        assert db.session.scalars(select(Event.many_children)).one() is False
        names = set(db.session.scalars(select(InstallationFact.name)))
        assert "other" in names and not any(name.startswith("rematch:") for name in names)
        db.session.rollback()
        # And back: what has not started is still asked for.
        downgrade(revision="0004")
        with db.engine.connect() as connection:
            assert connection.scalar(text("SELECT rematch_requested_at = created_at FROM event"))
        upgrade()
    assert recovered(app) == 1
    world.work()
    with app.app_context():
        report = rematches.of_event(db.session.scalars(select(Event)).one()).report
        assert report is not None and (report.people, report.pending, report.kept) == (1, 0, 1)


def recovered(app: Flask) -> int | None:
    with app.app_context():
        return sweeper.sweep()


def _count(table: str) -> int:
    return db.session.scalar(text(f'SELECT count(*) FROM "{table}"')) or 0
