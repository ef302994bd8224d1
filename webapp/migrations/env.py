"""Alembic's environment, bound to the present app's database."""

import logging
from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy import Connection, Enum

from webapp.db.columns import UtcDateTime
from webapp.db.extensions import db
from webapp.db.migrating import migrate, require_known, require_whole

log = logging.getLogger("alembic.env")


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our own column types as plain ones, so that a migration does not change with the code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


def skip_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """No file for a migration that would change nothing."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []
        log.info("Nothing has changed.")


def run(connection: Connection) -> None:
    """All steps in one transaction: a migration that fails leaves the database as it was."""
    require_known(connection)
    arguments = {**current_app.extensions["migrate"].configure_args, "process_revision_directives": skip_empty}
    context.configure(connection=connection, target_metadata=db.metadata, render_item=render_item, **arguments)
    with context.begin_transaction():
        context.run_migrations()
        require_whole(connection)


if context.is_offline_mode():
    raise SystemExit("Offline migrations are not supported: run them against the database itself.")
migrate(db.engine, run)
