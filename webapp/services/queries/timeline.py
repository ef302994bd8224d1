"""How an event went on over time: arrivals of guests, photos in and indexed, and how long the rest will take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, cast, extract, func, select
from sqlalchemy.orm import InstrumentedAttribute

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, Membership, MembershipRole, Photo, PhotoStatus
from webapp.services.events.timezones import zone_of

MINUTE, HOUR, DAY = 60, 3600, 86400
SPANS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY)
"""Seconds that one bar of a chart may stand for."""

MOST_BARS = 48

_LATELY = 60
"""Photos from which the present pace is told."""

_STALE = 180
"""Seconds without a finished photo after which there is no pace to tell."""


_Moment = InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """Counts over time. Each row is a moment and one count for each series; rows follow each other without a gap."""

    seconds: int
    """What one row stands for."""
    rows: list[tuple[datetime, tuple[int, ...]]]

    @property
    def totals(self) -> tuple[int, ...]:
        return tuple(sum(column) for column in zip(*(counts for _, counts in self.rows), strict=True))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast photos of an event are being indexed."""

    per_second: float | None
    """None while that can't be told: too few so far, or none lately."""
    last: datetime | None
    """When the latest one was done."""

    def minutes_for(self, photos: int) -> int | None:
        """Minutes, rounded up, until this many more are done; None while that can't be told."""
        return math.ceil(photos / self.per_second / 60) if self.per_second and photos else None


def chart(event: Event, *series: Sequence[Sequence[int]]) -> Chart | None:
    """Series of minutes and their counts as one chart; None where there is nothing in them."""
    minutes = [minute for counts in series for minute, _ in counts]
    if not minutes:
        return None
    first, last = min(minutes) * MINUTE, max(minutes) * MINUTE
    # Bars begin at full hours and days of the event's own clock.
    offset = _offset(event, first)
    seconds = next((span for span in SPANS if (last - first) // span + 2 <= MOST_BARS), SPANS[-1])
    start, end = (first + offset) // seconds, (last + offset) // seconds
    sums = [[0] * (end - start + 1) for _ in series]
    for row, counts in zip(sums, series, strict=True):
        for minute, count in counts:
            row[(minute * MINUTE + offset) // seconds - start] += count
    moments = [datetime.fromtimestamp((start + number) * seconds - offset, UTC) for number in range(end - start + 1)]
    return Chart(seconds, list(zip(moments, zip(*sums, strict=True), strict=True)))


def arrivals_by_minute(event: Event) -> list[list[int]]:
    """Minutes since 1970, and how many guests joined in each."""
    attends = Membership.role == MembershipRole.ATTENDEE
    return _by_minute(Membership.created_at, (Membership.event_id == event.id) & attends)


def photos_by_minute(event: Event) -> tuple[list[list[int]], int]:
    """Minutes since 1970, and how many photos came in in each; and the bytes of all of them, read in the same pass."""
    size_of = (func.sum(Photo.byte_size),)
    rows = _by_minute(Photo.created_at, Photo.event_id == event.id, *size_of)
    # Those that were replaced are few, and counted apart: the index of the others knows no state.
    hidden = (Photo.event_id == event.id) & (Photo.status == PhotoStatus.REPLACED)
    gone = {minute: (count, int(size)) for minute, count, size in _by_minute(Photo.created_at, hidden, *size_of)}
    came = [[minute, count - gone.get(minute, (0, 0))[0]] for minute, count, _ in rows]
    size = sum(int(size) for _, _, size in rows) - sum(size for _, size in gone.values())
    return [row for row in came if row[1]], size


def indexed_by_minute(event: Event) -> list[list[int]]:
    """Minutes since 1970, and how many photos were done in each."""
    return _by_minute(Photo.indexed_at, (Photo.event_id == event.id) & Photo.indexed_at.is_not(None))


def pace_of(event: Event) -> Pace:
    """The present pace, from the photos that were indexed last; one short query."""
    moments = db.session.scalars(
        select(Photo.indexed_at)
        .where(Photo.event_id == event.id, Photo.indexed_at.is_not(None))
        .order_by(Photo.indexed_at.desc())
        .limit(_LATELY)
    ).all()
    now = utcnow()
    lately = [moment for moment in moments if moment is not None and moment > now - timedelta(seconds=_STALE)]
    last = moments[0] if moments else None
    if len(lately) < 3:
        return Pace(None, last)
    # Up to the present and not to the last one: so a pace that falls shows at once.
    return Pace((len(lately) - 1) / max(1.0, (now - lately[-1]).total_seconds()), last)


def _by_minute(column: _Moment, where: ColumnElement[bool], *more: ColumnElement[Any]) -> list[list[int]]:
    """The database counts, and sends a row for each minute in which something happened: minute, count, and `more`."""
    if db.engine.dialect.name == "sqlite":
        # Moments lie there as text in UTC. Cutting it takes a third of the time of reckoning with it.
        text = func.substr(column, 1, 16, type_=String).label("minute")
        rows = db.session.execute(select(text, func.count(), *more).where(where).group_by("minute").order_by("minute"))
        return [[_minute_of(text), *counts] for text, *counts in rows]
    minute = (cast(extract("epoch", column), BigInteger) // MINUTE).label("minute")
    rows = db.session.execute(select(minute, func.count(), *more).where(where).group_by("minute").order_by("minute"))
    return [[int(minute), *counts] for minute, *counts in rows]


def _minute_of(text: str) -> int:
    """Minutes since 1970 of `2026-06-20 18:05`."""
    return _minutes_before(text[:10]) + int(text[11:13]) * 60 + int(text[14:16])


@lru_cache(maxsize=64)
def _minutes_before(day: str) -> int:
    """Minutes from 1970 to the beginning of `2026-06-20`. An event has thousands of minutes, but few days."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) // MINUTE


def _offset(event: Event, moment: int) -> int:
    """Seconds by which the event's clock is ahead of UTC at a moment."""
    ahead = datetime.fromtimestamp(moment, zone_of(event)).utcoffset()
    return int(ahead.total_seconds()) if ahead else 0
