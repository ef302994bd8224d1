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
from webapp.database import reading
from webapp.extensions import db
from webapp.models import Event, Mail, MailStatus, Person, Photo, Removal, Selfie
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
    enqueued_ids,
    unit_of_work,
)
from webapp.services import claims, duties, indexing, marking, mass_erasing, selfies, traces

log = structlog.get_logger()

DUTY = "sweep"
CLAIMED = (Photo, Selfie, Person, Mail, Removal)
BATCH = 10_000
"""Rows of one kind that one sweep enqueues; the next one goes on."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows of one kind that wait: the keys of their jobs."""

    kind: JobKind
    keys: list[str]


def sweep() -> int | None:
    """Enqueue every row that waits and has no job, if no other process did so within the interval.

    Returns how many were enqueued, or None when it was somebody else's turn or Redis is away.
    """
    # Somewhat less than the interval, so that a worker which comes a moment early does not skip a whole round.
    if not duties.take(DUTY, current_app.extensions["settings"].sweep_interval - 2):
        return None
    enqueued = 0
    try:
        for waiting in _waiting():
            known = enqueued_ids(waiting.kind.queue)
            for key in waiting.keys:
                if waiting.kind.job_id(key) not in known:
                    enqueue(waiting.kind, key, "sweep")
                    enqueued += 1
    except redis.RedisError as error:
        log.warning("sweep.redis_away", error=type(error).__name__)
        return None
    if enqueued:
        log.info("sweep.enqueued", count=enqueued)
    return enqueued


def release_claims(worker_names: Iterable[str]) -> int:
    """Free the rows that dead workers held, so that nobody waits for their leases to run out."""
    with unit_of_work():
        freed = claims.release(CLAIMED, list(worker_names))
    if freed:
        log.info("claims.released", count=freed)
    return freed


def _waiting() -> list[Waiting]:
    with reading():
        people = db.session.scalars(
            select(Person)
            .where(Person.match_wanted != Person.match_done, Person.match_failed.is_(False), _free(Person))
            .limit(BATCH)
        ).all()
        return [
            Waiting(MATCH_SELFIE, _keys(Selfie, Selfie.status.in_(selfies.WAITING))),
            Waiting(MATCH_PERSON, [marking.job_key(person) for person in people]),
            Waiting(
                REMATCH_EVENT,
                list(db.session.scalars(select(Event.public_id).where(Event.rematch_requested_at.is_not(None)))),
            ),
            Waiting(
                RECONCILE_EVENT,
                list(db.session.scalars(select(Event.public_id).where(Event.reconcile_requested_at.is_not(None)))),
            ),
            Waiting(REMOVE, _keys(Removal, true())),
            Waiting(ERASE_PHOTOS, mass_erasing.events_waiting()),
            Waiting(REMOVE_TRACES, ["owed"] if traces.is_owed() else []),
            Waiting(SEND_MAIL, _keys(Mail, Mail.status.in_((MailStatus.WAITING, MailStatus.SENDING)))),
            Waiting(INDEX_PHOTO, _keys(Photo, Photo.status.in_(indexing.WAITING))),
        ]


def _keys(model: type[Any], condition: ColumnElement[bool]) -> list[str]:
    return list(
        db.session.scalars(select(model.public_id).where(condition, _free(model)).order_by(model.id).limit(BATCH))
    )


def _free(model: type[Any]) -> ColumnElement[bool]:
    now = utcnow()
    return or_(model.lease_expires_at.is_(None), model.lease_expires_at < now) & or_(
        model.retry_at.is_(None), model.retry_at <= now
    )
