"""What admins see."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from webapp.models import Event
from webapp.pages import call_limit
from webapp.pages.common import me
from webapp.queueing import unit_of_work
from webapp.reasons import alarm_words
from webapp.services.accounts import account_list
from webapp.services.core import alarms
from webapp.services.events import events
from webapp.services.matching import matching, rematches
from webapp.services.upkeep import usage
from webapp.web.access.permissions import Who

blueprint = Blueprint("admin", __name__, url_prefix="/admin")

WHO = {"index": Who.ADMIN, "rematch": Who.ADMIN_OF_EVENT, "limit": Who.ADMIN_OF_EVENT}


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """What ops have to mend, all events, what they cost, and the way to the queues."""
    found = [(alarm, *alarm_words(alarm.name), alarms.ACTIONS.get(alarm.name, ())) for alarm in alarms.open_alarms()]
    cards = events.all_cards()
    searched = rematches.of_events(card.event for card in cards)
    ownerless = account_list.without_active_owner(card.event for card in cards)
    return render_template(
        "admin/index.html", alarms=found, cards=cards, rematches=searched, ownerless=ownerless, bill=usage.of_all()
    )


@blueprint.post("/events/<event_id>/rematch")
def rematch(event: Event) -> ResponseReturnValue:
    """Search again for everyone in an event."""
    with unit_of_work():
        people = matching.request_rematch(event, me())
    flash(ngettext("Searching again for %(num)s person.", "Searching again for %(num)s people.", people), "good")
    return redirect(url_for("admin.index"), 303)


@blueprint.route("/events/<event_id>/limit", methods=["GET", "POST"])
def limit(event: Event) -> ResponseReturnValue:
    """How many billable calls an event may make."""
    return call_limit.answer(event, me(), url_for("admin.index"))
