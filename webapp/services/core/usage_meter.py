"""The meter of billable calls: counts each call of a face service by event, and refuses one beyond the event's limit.

Calls are counted in transactions of their own: a call that was made is on the bill, whatever becomes of the photo or
selfie that it was made for. `upkeep.usage` reads what is counted here and sets the limits.
"""

import structlog
from flask import Flask, current_app
from sqlalchemy import Engine, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from webapp.clock import utcnow
from webapp.db.database import beside
from webapp.db.extensions import db
from webapp.errors import LimitReached
from webapp.models import EngineUsage, Event
from webapp.services.live import versions
from webapp.settings import Settings

log = structlog.get_logger()

LIMIT_REACHED = "call_limit"
"""Why photos, selfies and people wait that a limit stopped."""


class CostMeter:
    """Keeps the books of billable calls; safe in any thread. Made inside the app's context, used anywhere."""

    def __init__(self) -> None:
        self._engine: Engine = db.engine
        self._settings: Settings = current_app.extensions["settings"]
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - the proxy's way

    def allow(self, event_key: str, operation: str) -> None:  # noqa: ARG002 - all operations share one limit
        """Called before a billable call. Calls that run at the same moment may overrun the limit by their number.

        Raises:
            LimitReached: the event has used up its calls.
        """
        used = select(func.coalesce(func.sum(EngineUsage.calls), 0)).where(EngineUsage.event_public_id == event_key)
        with self._engine.connect() as connection:
            own = connection.scalar(select(Event.call_limit).where(Event.public_id == event_key))
            limit = effective_limit(own, self._settings)
            if limit is not None and (connection.scalar(used) or 0) >= limit:
                raise LimitReached(code=LIMIT_REACHED)

    def count(self, event_key: str, operation: str, calls: int = 1) -> None:
        """Called after each billable call that was, or may have been, carried out. Never fails: the work counts more
        than its bill, so what can't be written is in the log.
        """
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        row = insert(EngineUsage).values(
            event_public_id=event_key, day=utcnow().date(), operation=operation, calls=calls
        )
        place = ["event_public_id", "day", "operation"]
        try:
            with beside(self._engine) as connection:
                connection.execute(
                    row.on_conflict_do_update(index_elements=place, set_={"calls": EngineUsage.calls + calls})
                )
        except (SQLAlchemyError, RuntimeError) as error:
            log.error("costs.not_counted", event_id=event_key, operation=operation, calls=calls, error=repr(error))
            return
        with self._app.app_context():
            versions.moved([versions.mark_of(versions.BILL, event_key)])


def effective_limit(own: int | None, settings: Settings) -> int | None:
    """An event's own limit counts before the installation's, and 0 is none."""
    return (settings.event_call_limit if own is None else own) or None
