"""How an event publishes: at once or after approval, and what is written across what guests save."""

from webapp.errors import Invalid
from webapp.models import Event, User
from webapp.services.core import audit, locks
from webapp.services.events import publishing

MOST_WATERMARK = 60


def set_rules(event: Event, *, approval: bool, waiting: str | None, watermark: str, actor: User) -> int:
    """Set them; returns how many photos were published by it.

    waiting: `publish` or `keep`, what becomes of photos that wait when approval ends; else it does not count.

    Raises:
        Invalid: the watermark can't be used, or photos wait and it was not said what becomes of them.
    """
    event = locks.lock_event(event.id)
    watermark = " ".join(watermark.split())
    if len(watermark) > MOST_WATERMARK or (watermark and not watermark.isprintable()):
        raise Invalid(code="watermark_invalid", fields={"watermark": "watermark_invalid"})
    count = publishing.waiting_of(event) if event.approval and not approval else 0
    if count and waiting not in ("publish", "keep"):
        raise Invalid(code="waiting_unsaid", fields={"waiting": "waiting_unsaid"})
    event.approval, event.watermark = approval, watermark
    audit.record(actor, "event.publishing", "event", event.public_id)
    return publishing.publish_waiting(event, actor) if count and waiting == "publish" else 0
