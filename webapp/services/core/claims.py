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
from rq import get_current_job
from sqlalchemy import CursorResult, and_, case, or_, select, true, update
from sqlalchemy.sql.elements import ColumnElement

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models.claimable import Claimable
from webapp.processes import ALONE
from webapp.queueing import unit_of_work

MAX_CRASHES = 3
"""Processes that died of the work on a row, after which the row is at fault."""

MAX_INTERRUPTIONS = 20
"""Processes that died for another reason while they had a row. So many are no chance any more."""

DEATH_PAUSES = (0, 1, 3, 10, 30, 60, 120, 300, 600)
"""Seconds before the next try after each death; the last one repeats."""

PAUSES = (5, 30, 120, 600, 1800)
"""Seconds before each new try after a transient fault; after the last one the row fails with its reason."""


def worker_name() -> str:
    """The RQ worker that this process works for; a process without one names itself."""
    return os.environ.get("RQ_WORKER_ID") or f"process-{os.getpid()}"


class Death(StrEnum):
    """Why a process ended while it had a row."""

    CRASH = "crash"
    INTERRUPTION = "interruption"


def cause_of_failure(row: Claimable) -> str | None:
    """The reason for which a row is given up when too many processes died with it; None while it may be tried."""
    if row.crashes >= MAX_CRASHES:
        return "crashed"
    return "interrupted" if row.interruptions >= MAX_INTERRUPTIONS else None


def has_died(row: Claimable) -> bool:
    """Whether an earlier try ended with its process."""
    return row.crashes > 0 or row.interruptions > 0


def suspect(model: type[Claimable]) -> ColumnElement[bool]:
    """Rows whose next death is their last: they are tried once more, alone, before they count as crashed."""
    return or_(model.crashes == MAX_CRASHES - 1, model.interruptions == MAX_INTERRUPTIONS - 1)


def _runs_alone() -> bool:
    """Whether this process was started for one suspect; outside of a job nothing runs beside."""
    job = get_current_job()
    return job is None or bool(job.get_meta(refresh=False).get(ALONE))


def free(model: type[Claimable], now: datetime) -> ColumnElement[bool]:
    """Rows that no live process has and whose pause is over; suspects only for a process of their own.

    A worker has one job at a time, so a claim of its own is left over from a process that died.
    """
    return and_(
        true() if _runs_alone() else ~suspect(model),
        or_(
            model.lease_expires_at.is_(None),
            model.lease_expires_at < now,
            model.claim.startswith(f"{worker_name()}.", autoescape=True),
        ),
        or_(model.retry_at.is_(None), model.retry_at <= now),
    )


def claim(model: type[Any], public_id: str, condition: ColumnElement[bool], **values: StrEnum) -> str | None:
    """Take a row that fulfils `condition` and is free, in a transaction of its own, so that it holds while we work.

    A claim that is still on the row belongs to a process that died unseen, and counts as an interruption.

    Returns the claim, or None when the row is gone, done, suspect, or another worker's.
    """
    now = utcnow()
    token = f"{worker_name()}.{secrets.token_hex(8)}"
    lease = timedelta(seconds=current_app.extensions["settings"].lease_seconds)
    with unit_of_work():
        result = db.session.execute(
            update(model)
            .where(model.public_id == public_id, condition, free(model, now))
            .values(
                claim=token,
                lease_expires_at=now + lease,
                interruptions=model.interruptions + case((model.claim.is_not(None), 1), else_=0),
                **values,
            )
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
    row.crashes = row.interruptions = 0
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
    row.crashes = row.interruptions = 0
    row.claim = None
    row.lease_expires_at = None
    return True


def count_deaths(model: type[Any], names: Iterable[str], death: Death) -> list[Any]:
    """Free the rows of processes that are known to be dead, count the death, and pause the longer the more there were.

    `names` are those of their workers. Returns the rows.
    """
    rows = [
        row
        for name in names
        for row in db.session.scalars(
            select(model).where(model.claim.startswith(f"{name}.", autoescape=True)).with_for_update(of=model)
        )
    ]
    for row in rows:
        if death is Death.CRASH:
            row.crashes += 1
        else:
            row.interruptions += 1
        deaths = row.crashes + row.interruptions
        pause = DEATH_PAUSES[min(deaths, len(DEATH_PAUSES)) - 1]
        row.retry_at = utcnow() + timedelta(seconds=pause) if pause else None
        row.claim = None
        row.lease_expires_at = None
    return rows


class ClaimLostError(Exception):
    """The person was erased, or is computed by somebody else by now; what was found counts for nothing."""
