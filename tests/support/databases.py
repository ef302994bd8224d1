"""Databases for tests: one a process and kind, emptied before each test, and copies for those that need another.

Tests run on PostgreSQL. Those marked `both_databases`, whose subject depends on how a database behaves, run on SQLite
as well, under the ids [sqlite] and [postgresql]. TEST_DATABASES names the kinds that every test runs on instead
("sqlite postgresql" is what `make test-all` says). The server is the embedded one of tests.support.servers, or the one
of TEST_DATABASE_URL=postgresql://user@host:port, whose user is a superuser; the part behind the last slash is ignored.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

SQLITE_FILE = "findme.sqlite"
KINDS = ("sqlite", "postgresql")


def wanted(*, both: bool) -> list[str]:
    """The kinds of database that a test runs on. both: its subject depends on the database's behaviour.

    Raises:
        ValueError: TEST_DATABASES names a kind that there is not.
    """
    named = os.environ.get("TEST_DATABASES", "").replace(",", " ").split()
    if unknown := set(named) - set(KINDS):
        raise ValueError(f"TEST_DATABASES may name {' and '.join(KINDS)}, not {', '.join(sorted(unknown))}")
    if named:
        return [kind for kind in KINDS if kind in named]
    return list(KINDS) if both else ["postgresql"]


class SqliteTemplate:
    """A database file, copied next to a test's other data."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / SQLITE_FILE
        self.url = f"sqlite:///{self.file}"

    def copy(self, data_dir: Path) -> str:
        """Make a copy; returns its URL."""
        shutil.copy(self.file, data_dir / SQLITE_FILE)
        return f"sqlite:///{data_dir / SQLITE_FILE}"

    def discard(self, url: str) -> None:
        """Do nothing: a copy goes with the test's folder."""


class PostgresTemplate:
    """A database on a server, which copies it."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._name = f"findme_template_{secrets.token_hex(4)}"
        self._run(f"CREATE DATABASE {self._name}")
        self.url = f"{self._server}/{self._name}"

    def copy(self, _data_dir: Path) -> str:
        """Make a copy; returns its URL."""
        name = f"findme_test_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._name}")
        return f"{self._server}/{name}"

    def renew(self, url: str) -> None:
        """Put a new copy in the place of one that was altered."""
        self.discard(url)
        self._run(f"CREATE DATABASE {url.rpartition('/')[2]} TEMPLATE {self._name}")

    def discard(self, url: str) -> None:
        """Drop a copy, or the template."""
        self._run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with connect(f"{self._server}/postgres") as connection:
            connection.execute(statement.encode())


Template = SqliteTemplate | PostgresTemplate


class SqliteDatabase:
    """A file at one path, which each test finds without rows."""

    def __init__(self, template: SqliteTemplate, folder: Path) -> None:
        self._template, self._folder = template, folder
        self.url = template.copy(folder)

    def clear(self) -> None:
        """Put a new copy there: no connection may be open any more."""
        for file in self._folder.glob(f"{SQLITE_FILE}*"):  # with its write-ahead log
            file.unlink()
        self._template.copy(self._folder)


class PostgresDatabase:
    """A database whose rows are deleted before each test, which is quicker than a new copy or a TRUNCATE (decision 9).

    Sequences go on, so that no id of an earlier test comes back.
    """

    def __init__(self, template: PostgresTemplate, folder: Path) -> None:
        self._template = template
        self.url = template.copy(folder)
        self._connect()

    def clear(self) -> None:
        """Delete all rows, after ending transactions that a test left open."""
        self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        try:
            self._connection.execute(self._statement.encode())
        except psycopg.errors.UndefinedTable:  # a test took a table away
            self._connection.close()
            self._template.renew(self.url)
            self._connect()

    def close(self) -> None:
        """Hang up, so that the database can be dropped."""
        self._connection.close()

    def _connect(self) -> None:
        self._connection = connect(self.url)
        rows = self._connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [f'"{name}"' for (name,) in rows if name != "alembic_version"]
        self._connection.execute("SET session_replication_role = replica")  # foreign keys are not looked at
        self._statement = "; ".join(f"DELETE FROM {table}" for table in tables)


Database = SqliteDatabase | PostgresDatabase


class Databases:
    """All databases of one test process. What is slow (a server, a migration) happens when first asked for, once."""

    def __init__(self, migrate: Callable[[str], None], folder: Path, server: Callable[[], str]) -> None:
        """Nothing is started yet. migrate: brings the database of a URL to the newest migration; server: starts
        PostgreSQL where it is not running, and returns its URL without a database.
        """
        self.migrate = migrate
        self._folder = folder
        self._server = server
        self._ending = ExitStack()
        self._templates: dict[str, Template] = {}
        self._databases: dict[str, Database] = {}

    def cleared(self, kind: str) -> str:
        """Empty the process's own database of this kind; returns its URL."""
        if kind in self._databases:
            self._databases[kind].clear()
        else:
            self._databases[kind] = self._make(kind)
        return self._databases[kind].url

    def template(self, kind: str) -> Template:
        """A database at the newest migration, to be copied."""
        if kind not in self._templates:
            template = self.empty(kind, self._folder)
            self._ending.callback(template.discard, template.url)
            self.migrate(template.url)
            self._templates[kind] = template
        return self._templates[kind]

    def empty(self, kind: str, folder: Path) -> Template:
        """A new database without tables; an SQLite file lies in `folder`. Discard it at the end."""
        return SqliteTemplate(folder) if kind == "sqlite" else PostgresTemplate(self._server())

    def close(self) -> None:
        """Drop what was made."""
        self._ending.close()

    def _make(self, kind: str) -> Database:
        template = self.template(kind)
        if isinstance(template, SqliteTemplate):
            folder = self._folder / "process"
            folder.mkdir()
            return SqliteDatabase(template, folder)
        made = PostgresDatabase(template, self._folder)
        self._ending.callback(template.discard, made.url)
        self._ending.callback(made.close)
        return made


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection of one's own to a database of SQLAlchemy's URL; each statement is a transaction."""
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)
