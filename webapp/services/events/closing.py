"""Closing an event, and opening it again: with which photos have to be looked at anew."""

from sqlalchemy import ColumnElement, and_, exists, func, select, update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, EventStatus, Face, FaceVector, Photo, PhotoStatus, User
from webapp.queueing import INDEX_PHOTO, enqueue_after_commit
from webapp.services.core import audit, locks

AT_ONCE = 200
"""Photos that are enqueued with the reopening itself; the sweeper takes the rest, so that the page answers soon."""


def close(event: Event, actor: User) -> None:
    """No more joins and uploads; galleries stay readable, and what waits is still worked on. Twice is as once."""
    # The whole row: this waits for joins and uploads that hold the event open, and those that come now wait for this.
    event = db.session.scalars(
        select(Event).where(Event.id == event.id).with_for_update().execution_options(populate_existing=True)
    ).one()
    if event.status is EventStatus.CLOSED:
        return
    event.status, event.closed_at = EventStatus.CLOSED, utcnow()
    audit.record(actor, "event.closed", "event", event.public_id)


def reopen(event: Event, actor: User) -> int:
    """Take joins and uploads again, and index what the event's present engine has no vectors of.

    Returns how many photos that are.
    """
    event = locks.lock_event(event.id)
    if event.status is EventStatus.OPEN:
        return 0
    event.status, event.closed_at = EventStatus.OPEN, None
    audit.record(actor, "event.reopened", "event", event.public_id)
    photos = db.session.execute(select(Photo.id, Photo.public_id).where(_lacks_vectors(event)).order_by(Photo.id)).all()
    for start in range(0, len(photos), 500):
        ids = [row.id for row in photos[start : start + 500]]
        # `retries`: an earlier try may have left faces at a service, which the next one looks for.
        anew = {"status": PhotoStatus.UPLOADED, "failure_reason": None, "retries": 1, "retry_at": None}
        anew |= {"crashes": 0, "interruptions": 0}
        db.session.execute(
            update(Photo).where(Photo.id.in_(ids)).values(**anew).execution_options(synchronize_session=False)
        )
    for row in photos[:AT_ONCE]:
        enqueue_after_commit(INDEX_PHOTO, row.public_id)
    return len(photos)


def to_index(event: Event) -> int:
    """How many photos reopening the event would index again."""
    return db.session.scalar(select(func.count()).select_from(Photo).where(_lacks_vectors(event))) or 0


def _lacks_vectors(event: Event) -> ColumnElement[bool]:
    """Indexed photos with a face that the event's present engine has no vector of."""
    vector = exists().where(
        FaceVector.face_id == Face.id,
        FaceVector.engine == event.engine,
        FaceVector.version == event.engine_version,
    )
    # Later ordinals are places that are only kept for a verdict: they have no vectors, and need none.
    bare = exists().where(Face.photo_id == Photo.id, Face.ordinal < Photo.faces_count, ~vector)
    return and_(Photo.event_id == event.id, Photo.status == PhotoStatus.INDEXED, Photo.faces_count > 0, bare)
