"""What is put in order every now and then: leftovers that nobody waits for, and limits raised by a setting."""

from collections.abc import Iterable
from datetime import timedelta

import structlog
from sqlalchemy import or_, select

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import FindMeError, Transient
from webapp.models import Event, Person, Photo, PhotoStatus, Selfie, SelfieStatus, Upload, UploadStatus, UploadWay
from webapp.queueing import unit_of_work
from webapp.services.accounts import address_claims
from webapp.services.core import alarms, blobs, idempotency, locks, periodic, usage_meter
from webapp.services.erasure import orphans, selfie_erasure, traces
from webapp.services.photos import replaced
from webapp.services.selfies import precheck
from webapp.services.strangers import search_alerts
from webapp.services.upkeep import usage
from webapp.services.uploads import multipart, tus, upload_ledger

log = structlog.get_logger()

DUTY = "tidy"
EVERY = 600.0
"""Seconds between two rounds."""

STALE = timedelta(days=1)
"""How much longer than UPLOAD_KEEP_HOURS an upload in parts has to be forgotten until the store throws it away."""

FORWARDED_DAYS = timedelta(days=1)
"""How long after the last forwarding header its alarm ends."""

ROUND = 200
"""Uploads that are given up in one round, and names of files that are looked up at once."""


def tidy() -> bool:
    """Put things in order if it is this process' turn; returns whether it was. Runs in a worker."""
    if not periodic.take(DUTY, EVERY):
        return False
    give_up_uploads()
    _erase_replaced()
    _tidy_store()
    _sweep_orphans()
    _resume_below_limits()
    selfie_erasure.erase_refused()
    address_claims.lapse()
    with unit_of_work():
        idempotency.forget()
    search_alerts.forget()
    traces.compact_daily()
    # A header that somebody sent by hand, or a proxy that is gone.
    alarms.clear(alarms.FORWARDED, before=utcnow() - FORWARDED_DAYS)
    return True


def give_up_uploads(of: int | None = None) -> None:
    """Uploads whose time is over end as interrupted, and files that no upload owns go. `of` is a user's row id."""
    wanted = (
        select(Upload.id, Upload.public_id, Upload.way, Event.public_id)
        .join(Event, Event.id == Upload.event_id)
        .where(Upload.status == UploadStatus.RECEIVING, Upload.expires_at <= utcnow())
    )
    if of is not None:
        wanted = wanted.where(Upload.user_id == of)
    with reading():
        over = db.session.execute(wanted.order_by(Upload.id).limit(ROUND)).all()
    for row_id, upload_id, way, event_key in over:
        try:
            with alarms.guard("storage_rights"):
                if way is UploadWay.S3:
                    multipart.give_up(row_id)
                else:
                    tus.give_up(event_key, upload_id)
        except FindMeError as error:
            log.warning("tidy.upload_put_off", upload=upload_id, error=error.code)
    if over:
        log.info("tidy.uploads", given_up=len(over))
    if of is None:
        _forget_partials()


def _forget_partials() -> None:
    """Files of events and uploads that are gone; one that is waited for is older only where its row was extended."""
    partials = blobs.partials()
    old = list(partials.keys((utcnow() - upload_ledger.keeping()).timestamp()))
    # All of them: were only the first looked at, files that are waited for would keep others from ever being deleted.
    for start in range(0, len(old), ROUND):
        names = {key: key.rpartition("/")[2] for key in old[start : start + ROUND]}
        waited_for = _waited_for(names.values())
        for key, name in names.items():
            if name not in waited_for:
                partials.delete(key)


def _waited_for(upload_ids: Iterable[str]) -> set[str]:
    receiving = Upload.public_id.in_(list(upload_ids)) & (Upload.status == UploadStatus.RECEIVING)
    with reading():
        return set(db.session.scalars(select(Upload.public_id).where(receiving)))


def _erase_replaced() -> None:
    count = replaced.erase_old()
    if count:
        log.info("tidy.replaced", erased=count)


def _tidy_store() -> None:
    uploads, aborted = blobs.store().direct_uploads, 0
    try:
        with alarms.guard("storage_rights"):
            forgotten = precheck.forget_left_behind()
            if uploads is not None:
                aborted = uploads.abort_stale_uploads(utcnow() - upload_ledger.keeping() - STALE)
    except Transient as error:
        log.warning("tidy.store_put_off", error=error.code)
        return
    if forgotten or aborted:
        log.info("tidy.store", pictures_forgotten=forgotten, uploads_aborted=aborted)


def _sweep_orphans() -> None:
    try:
        orphans.sweep_daily()
    except FindMeError as error:
        log.warning("tidy.orphans_put_off", error=error.code)


def _resume_below_limits() -> None:
    """Who raised EVENT_CALL_LIMIT changed no row; what that limit stopped goes on all the same."""
    with reading():
        photos = select(Photo.event_id).where(
            Photo.status == PhotoStatus.FAILED, Photo.failure_reason == usage_meter.LIMIT_REACHED
        )
        selfies = (
            select(Person.event_id)
            .join(Selfie)
            .where(Selfie.status == SelfieStatus.FAILED, Selfie.reason == usage_meter.LIMIT_REACHED)
        )
        people = select(Person.event_id).where(
            Person.match_failed.is_(True), Person.match_failure == usage_meter.LIMIT_REACHED
        )
        stopped = db.session.scalars(
            select(Event).where(or_(Event.id.in_(photos), Event.id.in_(selfies), Event.id.in_(people)))
        )
        free = [event.id for event in stopped if not usage.of_event(event).reached]
    for event_id in free:
        with unit_of_work():
            usage.resume(locks.lock_event(event_id))
