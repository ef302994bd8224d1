"""What admins see."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from webapp.models import Event
from webapp.pages.common import me
from webapp.permissions import Who
from webapp.queueing import unit_of_work
from webapp.services import events, matching

blueprint = Blueprint("admin", __name__, url_prefix="/admin")

WHO = {"index": Who.ADMIN, "rematch": Who.ADMIN_OF_EVENT}


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All events, and the way to the queues."""
    return render_template("admin/index.html", cards=events.all_cards())


@blueprint.post("/events/<event_id>/rematch")
def rematch(event: Event) -> ResponseReturnValue:
    """Search again for everyone in an event."""
    with unit_of_work():
        people = matching.request_rematch(event, me())
    flash(ngettext("Searching again for %(num)s person.", "Searching again for %(num)s people.", people), "good")
    return redirect(url_for("admin.index"), 303)
