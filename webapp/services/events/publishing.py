"""When photos come out: at once, or after somebody has looked at them and publishes them."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, Photo, User
from webapp.services.core import audit
from webapp.services.rules.visibility import is_there


def published_at_for(event: Event) -> datetime | None:
    """The moment from which a photo that comes in now is out; None where it waits until somebody publishes it."""
    return None if event.approval else utcnow()


def waiting_of(event: Event) -> int:
    """How many photos wait until somebody publishes them: one query, answered from an index."""
    return db.session.scalar(select(func.count()).select_from(Photo).where(_waits(event))) or 0


def announce(event: Event) -> None:
    """Note that guests who asked for it are to be told of their photos. Call it before a photo is locked."""
    unannounced = update(Event).where(Event.id == event.id, Event.ready_at.is_(None))
    db.session.execute(unannounced.values(ready_at=utcnow()))


def publish_waiting(event: Event, actor: User) -> int:
    """Publish every photo that waits, for when an event needs no approval any more; returns how many."""
    if waiting_of(event):
        announce(event)
    published = db.session.scalars(
        update(Photo)
        .where(_waits(event))
        .values(published_at=utcnow())
        .returning(Photo.id)
        .execution_options(synchronize_session=False)
    ).all()
    db.session.expire_all()
    if published:
        audit.record(actor, "photos.publish", "event", event.public_id)
    return len(published)


def _waits(event: Event) -> ColumnElement[bool]:
    return and_(Photo.event_id == event.id, is_there(), Photo.published_at.is_(None))
