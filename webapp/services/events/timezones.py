"""An event's timezone."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webapp.models import Event


def zone_of(event: Event) -> ZoneInfo:
    """The event's timezone; UTC where its name is unknown here."""
    try:
        return ZoneInfo(event.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
