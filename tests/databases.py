"""Migrated databases for tests: copies of an SQLite file, and of a template on a PostgreSQL server.

Tests that use a database run on both, under the ids [sqlite] and [postgresql]. TEST_DATABASES=sqlite (or postgresql)
restricts a run to one of them. The server is the embedded one of tests.servers, or the one of
TEST_DATABASE_URL=postgresql://user@host:port, whose user may create databases; the part behind the last slash is of no
account.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg

from tests.servers import postgres

SQLITE_FILE = "findme.sqlite"
KINDS = ("sqlite", "postgresql")


def wanted() -> list[str]:
    """The kinds of database that this run is for."""
    named = os.environ.get("TEST_DATABASES", "").replace(",", " ").split()
    if unknown := set(named) - set(KINDS):
        raise ValueError(f"TEST_DATABASES may name {' and '.join(KINDS)}, not {', '.join(sorted(unknown))}")
    return [kind for kind in KINDS if not named or kind in named]


class SqliteTemplate:
    """One file, copied next to each test's other data."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / SQLITE_FILE
        self.url = f"sqlite:///{self._file}"

    def copy(self, data_dir: Path) -> str:
        """The URL of a new copy."""
        shutil.copy(self._file, data_dir / SQLITE_FILE)
        return f"sqlite:///{data_dir / SQLITE_FILE}"

    def discard(self, url: str) -> None:
        """It goes with the test's folder."""


class PostgresTemplate:
    """One database, copied by the server."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._name = f"findme_template_{secrets.token_hex(4)}"
        self._run(f"CREATE DATABASE {self._name}")
        self.url = f"{self._server}/{self._name}"

    def copy(self, data_dir: Path) -> str:
        """The URL of a new copy."""
        name = f"findme_test_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._name}")
        return f"{self._server}/{name}"

    def discard(self, url: str) -> None:
        """Drop a copy, or the template."""
        self._run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        address = self._server.replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


Template = SqliteTemplate | PostgresTemplate


class Databases:
    """All databases of one test process. What is slow (a server, a migration) happens when first asked for, once."""

    def __init__(self, migrate: Callable[[str], None], folder: Path) -> None:
        self.migrate = migrate
        self._folder = folder
        self._ending = ExitStack()
        self._server = ""
        self._migrated: dict[str, Template] = {}

    def migrated(self, kind: str) -> Template:
        """The database at the newest migration, to be copied."""
        if kind not in self._migrated:
            template = self.empty(kind, self._folder)
            self._ending.callback(template.discard, template.url)
            self.migrate(template.url)
            self._migrated[kind] = template
        return self._migrated[kind]

    def empty(self, kind: str, folder: Path) -> Template:
        """A new database with nothing in it; an SQLite file lies in `folder`. Discard it at the end."""
        return SqliteTemplate(folder) if kind == "sqlite" else PostgresTemplate(self.server())

    def server(self) -> str:
        """The PostgreSQL server's URL, without a database."""
        if not self._server:
            named = os.environ.get("TEST_DATABASE_URL", "")
            named = named.rpartition("/")[0] if named.count("/") > 2 else named
            self._server = named or self._ending.enter_context(postgres()).url
        return self._server

    def close(self) -> None:
        """Drop the templates and end the server."""
        self._ending.close()
