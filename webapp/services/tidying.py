"""What is put in order every now and then: leftovers that nobody waits for, and limits raised by a setting."""

from datetime import timedelta

import structlog
from sqlalchemy import or_, select

from webapp.clock import utcnow
from webapp.database import reading
from webapp.errors import Transient
from webapp.extensions import db
from webapp.models import Event, Person, Photo, PhotoStatus, Selfie, SelfieStatus
from webapp.queueing import unit_of_work
from webapp.services import alarms, blobs, costs, duties, marking, precheck

log = structlog.get_logger()

DUTY = "tidy"
EVERY = 600.0
"""Seconds between two rounds."""

STALE = timedelta(days=1)
"""The age from which an upload in parts that nobody finished is thrown away: before, somebody may still go on."""


def tidy() -> bool:
    """Put things in order if it is this process' turn; returns whether it was. Runs in a worker."""
    if not duties.take(DUTY, EVERY):
        return False
    _tidy_store()
    _resume_below_limits()
    return True


def _tidy_store() -> None:
    uploads, aborted = blobs.store().direct_uploads, 0
    try:
        with alarms.guard("storage_rights"):
            forgotten = precheck.forget_left_behind()
            if uploads is not None:
                aborted = uploads.abort_stale_uploads(utcnow() - STALE)
    except Transient as error:
        log.warning("tidy.store_put_off", error=error.code)
        return
    if forgotten or aborted:
        log.info("tidy.store", pictures_forgotten=forgotten, uploads_aborted=aborted)


def _resume_below_limits() -> None:
    """Who raised EVENT_CALL_LIMIT changed no row; what that limit stopped goes on all the same."""
    with reading():
        photos = select(Photo.event_id).where(
            Photo.status == PhotoStatus.FAILED, Photo.failure_reason == costs.LIMIT_REACHED
        )
        selfies = (
            select(Person.event_id)
            .join(Selfie)
            .where(Selfie.status == SelfieStatus.FAILED, Selfie.reason == costs.LIMIT_REACHED)
        )
        people = select(Person.event_id).where(
            Person.match_failed.is_(True), Person.match_failure == costs.LIMIT_REACHED
        )
        stopped = db.session.scalars(
            select(Event).where(or_(Event.id.in_(photos), Event.id.in_(selfies), Event.id.in_(people)))
        )
        free = [event.id for event in stopped if not costs.of_event(event).reached]
    for event_id in free:
        with unit_of_work():
            costs.resume(marking.lock_event(event_id))
