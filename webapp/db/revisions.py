"""Whether a database fits this version of the code, by Alembic's revisions."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
UPGRADE = "flask --app wsgi db upgrade"


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revision that a database is at, and the newest that this code knows."""

    found: str | None
    """None: no table of ours is there yet."""
    newest: str
    known: frozenset[str]

    @property
    def is_current(self) -> bool:
        """The database has exactly the tables that this code uses."""
        return self.found == self.newest

    @property
    def is_newer(self) -> bool:
        """A later version of FindMe migrated this database; this code does not know how it looks."""
        return self.found is not None and self.found not in self.known

    def explain(self) -> str:
        """Return what is wrong and what to do; empty where nothing is."""
        if self.is_newer:
            return (
                f"The database is at revision {self.found}, newer than this version of FindMe ({self.newest}). "
                "Nothing was changed. Start the newer version, or restore the backup that was made before its upgrade."
            )
        if not self.is_current:
            where = f"at revision {self.found}" if self.found else "empty"
            return (
                f"The database is {where}, and this version of FindMe needs revision {self.newest}. "
                f"Migrate it: `{UPGRADE}`."
            )
        return ""


def revisions_of(connection: Connection) -> Revisions:
    """Read which revision a database is at."""
    newest, known = _scripts()
    return Revisions(MigrationContext.configure(connection).get_current_revision(), newest, known)


@cache
def _scripts() -> tuple[str, frozenset[str]]:
    scripts = ScriptDirectory(str(MIGRATIONS))
    return str(scripts.get_current_head()), frozenset(script.revision for script in scripts.walk_revisions())
