"""Finding work that nobody does: after a lost queue, a killed worker or a pause, waiting rows are enqueued again."""

from typing import Any

import redis
import structlog
from flask import current_app
from sqlalchemy import or_, select
from sqlalchemy.sql.elements import ColumnElement

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.models import Event, Rematch
from webapp.queueing import (
    ERASE_PHOTOS,
    RECONCILE_EVENT,
    REMATCH_EVENT,
    REMOVE_TRACES,
    JobKind,
    enqueue,
    enqueued_ids,
)
from webapp.services.core import claims, periodic
from webapp.services.erasure import bulk, traces
from webapp.services.recovery.waiting_rows import CLAIMED, Kind

log = structlog.get_logger()

DUTY = "sweep"
BATCH = 10_000
"""Rows of one kind that one sweep enqueues; the next one goes on."""


def sweep() -> int | None:
    """Enqueue every row that waits and has no job, if no other process did so within the interval.

    Returns how many were enqueued, or None when it was somebody else's turn or Redis is away.
    """
    # Somewhat less than the interval, so that a worker which comes a moment early does not skip a whole round.
    if not periodic.take(DUTY, current_app.extensions["settings"].sweep_interval - 2):
        return None
    with reading():
        waiting = _waiting()
    try:
        enqueued = _enqueue_missing(waiting) + _enqueue_suspect()
    except redis.RedisError as error:
        log.warning("sweep.redis_away", error=type(error).__name__)
        return None
    if enqueued:
        log.info("sweep.enqueued", count=enqueued)
    return enqueued


def _enqueue_missing(waiting: dict[JobKind, list[str]]) -> int:
    """Enqueue the jobs that are in no queue; returns how many."""
    enqueued = 0
    for kind, keys in waiting.items():
        known = enqueued_ids(kind.queue) if keys else set()
        for key in keys:
            if kind.job_id(key) not in known:
                enqueue(kind, key, "sweep")
                enqueued += 1
    return enqueued


def _enqueue_suspect() -> int:
    """Enqueue one suspect at the end of its queue, unless one is on its way: two at once would not be alone."""
    for kind, ids in _suspects().items():
        known = enqueued_ids(kind.queue) if ids else set()
        jobs = {kind.job_id(public_id) for public_id in ids}
        # A person's jobs have a number behind the id.
        if any(job in jobs or job.rpartition("-")[0] in jobs for job in known):
            return 0
    with reading():
        free = [(kind.job, key) for kind in CLAIMED for key in _keys(kind, claims.suspect(kind.model))[:1]]
    if free:
        enqueue(*free[0], "sweep", alone=True)
    return len(free[:1])


def _waiting() -> dict[JobKind, list[str]]:
    """Keys of the jobs that should be in a queue."""
    claimed = {kind.job: _keys(kind, ~claims.suspect(kind.model)) for kind in CLAIMED}
    return claimed | {
        REMATCH_EVENT: _events(Event.id.in_(select(Rematch.event_id).where(Rematch.started_at.is_(None)))),
        RECONCILE_EVENT: _events(Event.reconcile_requested_at.is_not(None)),
        REMOVE_TRACES: ["owed"] if traces.is_owed() else [],
        ERASE_PHOTOS: bulk.events_waiting(),
    }


def _suspects() -> dict[JobKind, list[str]]:
    """Public ids of the rows that are to be tried once more, alone, with those that are just being tried."""
    with reading():
        return {
            kind.job: list(
                db.session.scalars(
                    select(kind.model.public_id).where(kind.waits, claims.suspect(kind.model)).limit(BATCH)
                )
            )
            for kind in CLAIMED
        }


def _events(condition: ColumnElement[bool]) -> list[str]:
    return list(db.session.scalars(select(Event.public_id).where(condition)))


def _keys(kind: Kind, condition: ColumnElement[bool]) -> list[str]:
    model = kind.model
    wanted = select(kind.key()).where(kind.waits, condition, _free(model)).order_by(model.id).limit(BATCH)
    return list(db.session.scalars(wanted))


def _free(model: type[Any]) -> ColumnElement[bool]:
    now = utcnow()
    return or_(model.lease_expires_at.is_(None), model.lease_expires_at < now) & or_(
        model.retry_at.is_(None), model.retry_at <= now
    )
