"""Letting guests in, or not, at an event whose photographer admits guests."""

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from webapp.models import Event, Membership
from webapp.pages.common import safe_next
from webapp.queueing import unit_of_work
from webapp.services.joining import admission as service
from webapp.web.access.permissions import Who

blueprint = Blueprint("admission", __name__, url_prefix="/studio/events/<event_id>/guests")

WHO = dict.fromkeys(("admit", "refuse", "admit_all"), Who.RUNNER)


@blueprint.post("/<person_id>/admit")
def admit(event: Event, membership: Membership, person_id: str) -> ResponseReturnValue:
    """One guest is let in, and searched for at once."""
    with unit_of_work():
        name = service.admit(event, person_id, membership.user).user.name
    return _done(event, gettext("%(name)s is admitted.", name=name))


@blueprint.post("/<person_id>/refuse")
def refuse(event: Event, membership: Membership, person_id: str) -> ResponseReturnValue:
    """One guest is turned away, and their selfie erased."""
    with unit_of_work():
        name = service.refuse(event, person_id, membership.user).user.name
    return _done(event, gettext("%(name)s is not admitted. Their selfie is deleted.", name=name))


@blueprint.post("/admit-all")
def admit_all(event: Event, membership: Membership) -> ResponseReturnValue:
    """Everybody who waits is let in."""
    with unit_of_work():
        count = service.admit_all(event, membership.user)
    return _done(event, ngettext("%(num)s guest is admitted.", "%(num)s guests are admitted.", count))


def _done(event: Event, said: str) -> ResponseReturnValue:
    flash(said, "good")
    return redirect(safe_next(request.args.get("next"), url_for("studio.event", event_id=event.public_id)), 303)
