"""Finding work that nobody does: after a lost queue, a killed worker or a pause, waiting rows are enqueued again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from flask import current_app
from sqlalchemy import or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.models import Event, Mail, MailStatus, Person, Photo, Rematch, Removal, Selfie
from webapp.queueing import (
    ERASE_PHOTOS,
    INDEX_PHOTO,
    MATCH_PERSON,
    MATCH_SELFIE,
    RECONCILE_EVENT,
    REMATCH_EVENT,
    REMOVE,
    REMOVE_TRACES,
    SEND_MAIL,
    JobKind,
    enqueue,
    enqueue_after_commit,
    enqueued_ids,
    unit_of_work,
)
from webapp.services.core import claims, periodic, rematch_requests, search_gate
from webapp.services.core.claims import Death
from webapp.services.erasure import bulk, traces
from webapp.services.joining import selfies
from webapp.services.photos import indexing

log = structlog.get_logger()

DUTY = "sweep"
BATCH = 10_000
"""Rows of one kind that one sweep enqueues; the next one goes on."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of row that workers claim: the job that does it, its key, and which rows wait for it."""

    job: JobKind
    model: type[Any]
    waits: ColumnElement[bool]

    def key(self) -> ColumnElement[str]:
        """The key of a row's job."""
        public_id: ColumnElement[str] = self.model.public_id
        return rematch_requests.job_key_column() if self.model is Person else public_id


CLAIMED = (
    _Kind(MATCH_SELFIE, Selfie, selfies.waits()),
    _Kind(MATCH_PERSON, Person, rematch_requests.is_waiting() & search_gate.lets_person_pass()),
    _Kind(REMOVE, Removal, true()),
    _Kind(SEND_MAIL, Mail, Mail.status.in_((MailStatus.WAITING, MailStatus.SENDING))),
    _Kind(INDEX_PHOTO, Photo, Photo.status.in_(indexing.WAITING)),
)


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


def release_claims(worker_names: Iterable[str]) -> int:
    """Free the rows that dead workers held, so that nobody waits for their leases to run out."""
    return record_deaths(worker_names, Death.INTERRUPTION)


def record_deaths(worker_names: Iterable[str], death: Death) -> int:
    """Free the rows that were in the hands of processes that died, and count the death; returns how many rows."""
    names, freed = list(worker_names), 0
    with unit_of_work():
        for kind in CLAIMED:
            for row in claims.count_deaths(kind.model, names, death):
                freed += 1
                log.info("claims.released", job=kind.job.job_id(row.public_id), death=death.value)
                if row.retry_at is None:
                    enqueue_after_commit(
                        kind.job, rematch_requests.job_key(row) if isinstance(row, Person) else row.public_id
                    )
    return freed


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


def _keys(kind: _Kind, condition: ColumnElement[bool]) -> list[str]:
    model = kind.model
    wanted = select(kind.key()).where(kind.waits, condition, _free(model)).order_by(model.id).limit(BATCH)
    return list(db.session.scalars(wanted))


def _free(model: type[Any]) -> ColumnElement[bool]:
    now = utcnow()
    return or_(model.lease_expires_at.is_(None), model.lease_expires_at < now) & or_(
        model.retry_at.is_(None), model.retry_at <= now
    )
