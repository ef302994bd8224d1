"""A PostgreSQL server that tests may stop, and apps on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from tests.support.databases import Databases, PostgresTemplate
from tests.support.servers import Postgres, postgres
from tests.support.settings import make_settings
from webapp import create_app
from webapp.db.extensions import db

MakeApp = Callable[..., Flask]


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Postgres]:
    """A server of this module's own, which its tests may stop."""
    with postgres() as server:
        yield server


@pytest.fixture
def make_app(postgres_server: Postgres, tmp_path: Path, redis_url: str, all_databases: Databases) -> Iterator[MakeApp]:
    """Makes apps on one new database of that server, with the settings that a test wants."""
    template = PostgresTemplate(postgres_server.url)
    all_databases.migrate(template.url)
    apps = []

    def make(**changes: object) -> Flask:
        apps.append(create_app(make_settings(tmp_path, redis_url, database_url=template.url, **changes)))
        return apps[-1]

    yield make
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    template.discard(template.url)


def name_of_database(app: Flask) -> str:
    """The app's own database."""
    with app.app_context():
        return db.engine.url.database or ""


def shown(app: Flask, name: str) -> str:
    """What PostgreSQL says of a setting of the app's own session."""
    with app.app_context(), db.engine.connect() as connection:
        return str(connection.scalar(text(f"SHOW {name}")))
