"""The photos that the photographer shows to every guest of an event."""

from datetime import UTC, datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webapp.db.columns import is_row_id
from webapp.errors import NotFound
from webapp.models import Event, Membership
from webapp.services.queries import gallery
from webapp.services.queries.gallery import PAGE, PhotoCard
from webapp.web.access.permissions import Who

blueprint = Blueprint("guest_shared", __name__, url_prefix="/e/<code>/shared")

WHO = {"page": Who.MEMBER, "photo": Who.MEMBER}


@blueprint.get("")
def page(event: Event, membership: Membership) -> ResponseReturnValue:
    """The photos, newest first, in pages."""
    found = gallery.shown_to_all(event, limit=PAGE + 1, after=_cursor()) if may_see(membership) else []
    shown = found[:PAGE]
    further = _cursor_of(shown[-1]) if len(found) > PAGE else None
    return render_template("guest/shared.html", event=event, membership=membership, photos=shown, further=further)


@blueprint.get("/<photo_id>")
def photo(event: Event, membership: Membership, photo_id: str) -> ResponseReturnValue:
    """One of them, large, with its neighbours."""
    if not may_see(membership):
        raise NotFound(code="photo_unknown")
    found = gallery.shared_photo(event, photo_id)
    return render_template(
        "guest/photo.html",
        event=event,
        shared=True,
        photo=found.photo,
        position=found.position,
        total=found.total,
        previous=found.previous,
        next=found.next,
    )


def may_see(membership: Membership) -> bool:
    """Return True once the photographer has let the guest in."""
    return membership.is_admitted or membership.runs_event


def _cursor() -> tuple[datetime, int] | None:
    """Return the cursor of a further page; None, for the first page, where it is no cursor of ours."""
    moment, _, row_id = request.args.get("after", "").rpartition("~")
    try:
        parsed, number = datetime.fromisoformat(moment), int(row_id)
        return (parsed.astimezone(UTC), number) if parsed.tzinfo and is_row_id(number) else None
    except (ValueError, OverflowError):
        return None


def _cursor_of(card: PhotoCard) -> str:
    return f"{card.sorted_at.isoformat()}~{card.row_id}"
