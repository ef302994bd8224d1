"""When photos were taken: what the camera's clock showed, in the event's timezone, corrected by how far it is off.

`cameras` sets the corrections.
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Interval, String, cast, func, literal, select, update
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement

from webapp.db.extensions import db
from webapp.models import Camera, Event, Photo
from webapp.services.core import locks
from webapp.services.rules.visibility import is_there

BATCH = 500


def moment(taken: datetime | None, timezone: str, offset_seconds: int) -> datetime | None:
    """A camera's time as a moment: a clock without a zone shows the event's."""
    if taken is None:
        return None
    aware = taken if taken.tzinfo is not None else taken.replace(tzinfo=ZoneInfo(timezone))
    return aware + timedelta(seconds=offset_seconds)


def timezone_changed(event: Event) -> int:
    """Reckon all capture times anew after the event got another timezone; returns how many photos moved."""
    event = locks.lock_event(event.id)
    offsets = dict(
        db.session.execute(select(Camera.id, Camera.offset_seconds).where(Camera.event_id == event.id)).all()
    )
    rows = db.session.execute(
        select(Photo.id, Photo.camera_id, Photo.camera_time, Photo.taken_at).where(
            Photo.event_id == event.id, Photo.camera_time.is_not(None), Photo.taken_at.is_not(None)
        )
    ).all()
    ids: dict[int, list[int]] = {}
    for row in rows:
        now = moment(datetime.fromisoformat(row.camera_time), event.timezone, offsets.get(row.camera_id, 0))
        moved = round((now - row.taken_at).total_seconds()) if now is not None else 0
        if moved:
            ids.setdefault(moved, []).append(row.id)
    for moved, wanted in ids.items():
        for start in range(0, len(wanted), BATCH):
            move(moved, Photo.id.in_(wanted[start : start + BATCH]))
    return sum(map(len, ids.values()))


def move(seconds: int, which: ColumnElement[bool]) -> int:
    """Move photos in time, all at once in the database; returns how many of them count. Replaced ones move as well."""
    wanted = (which, Photo.taken_at.is_not(None))
    count = db.session.scalar(select(func.count()).select_from(Photo).where(*wanted, is_there())) or 0
    if seconds:
        later = _shifted(Photo.taken_at, seconds)
        db.session.execute(
            update(Photo)
            .where(*wanted)
            .values(taken_at=later, sorted_at=later)
            .execution_options(synchronize_session=False)
        )
        db.session.expire_all()
    return count


def _shifted(column: InstrumentedAttribute[Any], seconds: int) -> ColumnElement[Any]:
    if db.engine.dialect.name == "sqlite":
        # Moments lie there as text with six digits behind the point, of which SQLite writes three; ours end there.
        return func.strftime("%Y-%m-%d %H:%M:%f", column, f"{seconds} seconds", type_=String) + literal("000")
    return column + cast(f"{seconds} seconds", Interval)
