"""Photos that were replaced: until when each is kept, and how to bring it back."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.db.columns import is_row_id
from webapp.models import Event, Membership
from webapp.queueing import unit_of_work
from webapp.services.photos import replaced
from webapp.web.access.permissions import Who

blueprint = Blueprint("replaced", __name__, url_prefix="/studio/events/<event_id>/photos/replaced")

WHO = dict.fromkeys(("page", "bring_back"), Who.RUNNER)


@blueprint.get("")
def page(event: Event, **_: Membership) -> ResponseReturnValue:
    """The last replaced first; `?before=` is the row's key of the last one of the page before."""
    before = request.args.get("before", type=int)
    photos = replaced.page_of(event, before if before is not None and is_row_id(before) else None)
    shown = [(photo, replaced.erased_at(photo)) for photo in photos[: replaced.PAGE]]
    further = shown[-1][0].id if len(photos) > replaced.PAGE else None
    return render_template("shots/replaced.html", event=event, shown=shown, further=further, days=replaced.KEPT.days)


@blueprint.post("/<photo_id>")
def bring_back(event: Event, photo_id: str, membership: Membership) -> ResponseReturnValue:
    """Make it a photo again, beside the one that took its place."""
    with unit_of_work():
        name = replaced.bring_back(event, photo_id, membership.user).filename
    flash(gettext("%(name)s is back. It is being looked at once more.", name=name), "good")
    return redirect(url_for("replaced.page", event_id=event.public_id), 303)
