"""Erasing many photos: they are gone for everybody at once, and jobs erase what is left of them, piece by piece."""

from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, case, null, select, update

from webapp.db.extensions import db
from webapp.models import Event, Photo, PhotoStatus, User
from webapp.queueing import ERASE_PHOTOS, enqueue_after_commit, unit_of_work
from webapp.services.core import audit, locks
from webapp.services.erasure import photo_erasure

AT_ONCE = 24
"""As many as are erased while somebody waits for the answer."""

PIECE = 100
"""As many as one job erases in its one transaction, so that nobody waits long for the database."""


def erase(event: Event, condition: ColumnElement[bool], actor: User | None) -> list[str]:
    """Erase the event's photos that fulfil a condition; returns their public ids. Many of them are left to jobs."""
    locks.lock_event(event.id)
    wanted = select(Photo).where(Photo.event_id == event.id, condition, Photo.status != PhotoStatus.ERASING)
    few = db.session.scalars(wanted.order_by(Photo.id).limit(AT_ONCE + 1)).all()
    if len(few) > AT_ONCE:
        return _take_away(event, condition, actor)
    ids = [photo.public_id for photo in few]
    if few:
        photo_erasure.erase_photos(event.id, few, actor)
    return ids


def _take_away(event: Event, condition: ColumnElement[bool], actor: User | None) -> list[str]:
    # Nothing that a worker still finds in them is written, and the same bytes may be handed in as a new photo.
    gone: dict[str, Any] = dict.fromkeys(("sha256", "claim", "lease_expires_at", "retry_at", "same_shot_as_id"), null())
    # Where a try may have left something at a service is told by a photo without a moment of indexing.
    indexed_at = case((Photo.status == PhotoStatus.INDEXED, Photo.indexed_at), else_=null())
    ids = db.session.scalars(
        update(Photo)
        .where(Photo.event_id == event.id, condition, Photo.status != PhotoStatus.ERASING)
        .values(status=PhotoStatus.ERASING, indexed_at=indexed_at, **gone)
        .returning(Photo.public_id)
        .execution_options(synchronize_session=False)
    ).all()
    _ask_no_more(event)
    _with_replaced(event)
    db.session.expire_all()
    audit.record(actor, "photos.erased", "event", event.public_id)
    for number in range(ceil(len(ids) / PIECE)):
        enqueue_after_commit(ERASE_PHOTOS, f"{event.public_id}-{number}")
    return list(ids)


def _ask_no_more(event: Event) -> None:
    """Photos of shots whose earlier export is going are no second ones any more."""
    going = select(Photo.id).where(Photo.event_id == event.id, Photo.status == PhotoStatus.ERASING)
    db.session.execute(
        update(Photo)
        .where(Photo.event_id == event.id, Photo.same_shot_as_id.in_(going))
        .values(same_shot_as_id=None)
        .execution_options(synchronize_session=False)
    )


def _with_replaced(event: Event) -> None:
    """What photos that are going have replaced goes with them, and can't be brought back any more."""
    going = select(Photo.id).where(Photo.event_id == event.id, Photo.status == PhotoStatus.ERASING)
    db.session.execute(
        update(Photo)
        .where(Photo.event_id == event.id, Photo.status == PhotoStatus.REPLACED, Photo.replaced_by_id.in_(going))
        .values(status=PhotoStatus.ERASING)
        .execution_options(synchronize_session=False)
    )


def erase_piece(event_public_id: str) -> int:
    """Erase some of an event's photos that were taken away; returns how many. Runs in a worker, any number of times."""
    with unit_of_work():
        # Under the lock, so that two jobs at once never erase the same ones; the event may be erased while we wait.
        here = select(Event.id).where(Event.public_id == event_public_id)
        event_id = db.session.scalar(here.with_for_update(key_share=True))
        if event_id is None:
            return 0
        wanted = select(Photo).where(Photo.event_id == event_id, Photo.status == PhotoStatus.ERASING)
        photos = db.session.scalars(wanted.order_by(Photo.id).limit(PIECE)).all()
        if photos:
            photo_erasure.erase_photos(event_id, photos, None)
        return len(photos)


def events_waiting() -> list[str]:
    """Public ids of the events that have photos to erase."""
    waiting = select(Photo.event_id).where(Photo.status == PhotoStatus.ERASING)
    return list(db.session.scalars(select(Event.public_id).where(Event.id.in_(waiting))))
