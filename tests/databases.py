"""A migrated database for each test: a copied SQLite file, or a copy of a PostgreSQL template.

TEST_DATABASE_URL=postgresql://user@host:port runs everything on that server, whose user may create databases; the part
behind the last slash is of no account.
"""

import os
import secrets
import shutil
from pathlib import Path

import psycopg

SQLITE_FILE = "findme.sqlite"


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
        self._server = server.rpartition("/")[0] if server.count("/") > 2 else server
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
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


Template = SqliteTemplate | PostgresTemplate


def template(folder: Path) -> Template:
    """An empty database to migrate and to copy from: on the server of TEST_DATABASE_URL, else in this folder."""
    server = os.environ.get("TEST_DATABASE_URL")
    return PostgresTemplate(server) if server else SqliteTemplate(folder)
