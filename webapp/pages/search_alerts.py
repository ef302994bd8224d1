"""Alerts about who may be searching for strangers: the photographer sees the selfies and decides."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.models import AlertDecision, AlertKind, Event, Membership
from webapp.queueing import unit_of_work
from webapp.services.strangers import search_alerts
from webapp.web.access.permissions import Who

blueprint = Blueprint("search_alerts", __name__, url_prefix="/studio/events/<event_id>/alerts")

MOST_SKIPPED = 1_000_000
"""Beyond this no event has alerts, and databases take no number without end."""

WHO = dict.fromkeys(("page", "decide"), Who.RUNNER)


@blueprint.get("")
def page(event: Event, **_: Membership) -> ResponseReturnValue:
    """The alerts of the event, those that wait for a decision first; `?skip=` is how many came on earlier pages."""
    skip = min(max(request.args.get("skip", 0, type=int), 0), MOST_SKIPPED)
    alerts, has_more = search_alerts.alerts_of(event, skip)
    return render_template(
        "studio/alerts.html",
        event=event,
        alerts=alerts,
        skipped=skip,
        further=skip + len(alerts) if has_more else None,
        days=search_alerts.HELD_BACK.days,
    )


@blueprint.post("/<alert_id>")
def decide(event: Event, alert_id: str, membership: Membership) -> ResponseReturnValue:
    """Let the accounts be searched for, or erase their selfies."""
    with unit_of_work():
        alert = search_alerts.decide(event, alert_id, request.form.get("decision", ""), membership.user)
        kind, decision = alert.kind, alert.decision
    flash(_said(kind, decision), "good")
    return redirect(url_for("search_alerts.page", event_id=event.public_id), 303)


def _said(kind: AlertKind, decision: AlertDecision | None) -> str:
    if kind is AlertKind.LATE_JOINS:
        return str(gettext("Noted. Nothing was changed."))
    if decision is AlertDecision.ALLOWED:
        return str(gettext("The search goes on for them."))
    return str(gettext("These selfies are being deleted. Nothing is searched for them any more."))
