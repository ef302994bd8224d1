"""Taking a waiting row for one worker at a time, and giving it back.

A claim is `WORKER.RANDOM` with a lease. Whoever finishes the work looks in its last transaction whether the claim is
still its own: after a lease has run out somebody else may have taken over, and then the late result is dropped.
"""

import os
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from flask import current_app
from sqlalchemy import CursorResult, and_, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from webapp.clock import utcnow
from webapp.extensions import db
from webapp.models.claimable import Claimable
from webapp.queueing import unit_of_work

MAX_ATTEMPTS = 3
"""Deaths of a worker on one row after which the row is at fault."""

PAUSES = (5, 30, 120, 600, 1800)
"""Seconds before each new try after a transient fault; after the last one the row fails with its reason."""


def worker_name() -> str:
    """The RQ worker that this process works for; a process without one names itself."""
    return os.environ.get("RQ_WORKER_ID") or f"process-{os.getpid()}"


def free(model: type[Claimable], now: datetime) -> ColumnElement[bool]:
    """That nobody works on a row and its pause is over. A worker has one job at a time: an own claim is a dead one."""
    return and_(
        or_(
            model.lease_expires_at.is_(None),
            model.lease_expires_at < now,
            model.claim.startswith(f"{worker_name()}.", autoescape=True),
        ),
        or_(model.retry_at.is_(None), model.retry_at <= now),
    )


def claim(model: type[Any], public_id: str, condition: ColumnElement[bool], **values: StrEnum) -> str | None:
    """Take a row that fulfils `condition` and is free, in a transaction of its own, so that it holds while we work.

    Returns the claim, or None when the row is gone, done, or somebody else's.
    """
    now = utcnow()
    token = f"{worker_name()}.{secrets.token_hex(8)}"
    lease = timedelta(seconds=current_app.extensions["settings"].lease_seconds)
    with unit_of_work():
        result = db.session.execute(
            update(model)
            .where(model.public_id == public_id, condition, free(model, now))
            .values(claim=token, lease_expires_at=now + lease, attempts=model.attempts + 1, **values)
            .execution_options(synchronize_session=False)
        )
    return token if cast("CursorResult[Any]", result).rowcount == 1 else None


def held(model: type[Any], public_id: str, token: str) -> Any | None:
    """The row, locked to the end of the transaction, if the claim on it is still ours."""
    return db.session.scalar(
        select(model)
        .where(model.public_id == public_id, model.claim == token)
        .with_for_update(of=model)
        .execution_options(populate_existing=True)
    )


def settle(row: Claimable) -> None:
    """An outcome was reached: nothing of the work on the row remains."""
    row.claim = None
    row.lease_expires_at = None
    row.retry_at = None
    row.attempts = 0
    row.retries = 0


PATIENT = frozenset({"engine_busy", "engine_missing"})
"""Faults that pass as surely as time does, however long: a used-up quota, a gallery that is being made anew."""


def postpone(row: Claimable, code: str = "") -> bool:
    """Give the row back for a later try; False when it was tried often enough. `code` says why it did not work."""
    if row.retries >= len(PAUSES):
        if code not in PATIENT:
            return False
        row.retries = len(PAUSES) - 1
    row.retry_at = utcnow() + timedelta(seconds=PAUSES[row.retries])
    row.retries += 1
    row.attempts = 0
    row.claim = None
    row.lease_expires_at = None
    return True


def release(models: Iterable[type[Any]], names: Iterable[str]) -> int:
    """Free the rows of workers that are known to be dead; their attempts stay counted. Returns how many."""
    freed = 0
    for model in models:
        for name in names:
            result = db.session.execute(
                update(model)
                .where(model.claim.startswith(f"{name}.", autoescape=True))
                .values(claim=None, lease_expires_at=None)
                .execution_options(synchronize_session=False)
            )
            freed += cast("CursorResult[Any]", result).rowcount
    return freed
