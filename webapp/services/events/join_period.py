"""Until when people can join an event.

Joining ends some days after the event's date, since a code on a printed poster outlives the evening. An event that was
made later than its date counts from the day on which it was made: else nobody could ever join it.
"""

import datetime as dt

from webapp.clock import utcnow
from webapp.errors import Conflict
from webapp.models import Event
from webapp.services.events.timezones import zone_of

MOST_DAYS = 3650


def last_day(event: Event) -> dt.date | None:
    """The last day, in the event's timezone, on which people can join; None: joining doesn't end by itself."""
    if event.join_days is None:
        return None
    made = event.created_at.astimezone(zone_of(event)).date()
    try:
        return max(event.date, made) + dt.timedelta(days=event.join_days)
    except OverflowError:
        return None


def is_over(event: Event) -> bool:
    """Whether the last day for joining has passed."""
    last = last_day(event)
    return last is not None and utcnow().astimezone(zone_of(event)).date() > last


def require_joinable(event: Event) -> None:
    """Raises Conflict when the last day for joining has passed; uploads and members are not concerned."""
    if is_over(event):
        raise Conflict(code="joins_over")
