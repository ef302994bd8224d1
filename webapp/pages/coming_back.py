"""The event's page for guests who come back: by it a mail stays of use after its sign-in link has expired."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.services.joining import enrolment
from webapp.web.access import event_codes
from webapp.web.access.permissions import Who
from webapp.web.access.sessions import signed_in

blueprint = Blueprint("coming_back", __name__, url_prefix="/e/<code>/back")

WHO = {"page": Who.ANYONE}


@blueprint.get("")
def page(code: str) -> ResponseReturnValue:
    """The event, and a form that mails a fresh sign-in link; members who are signed in go on to their photos."""
    event, user = event_codes.find(code), signed_in()
    photos = url_for("guest.photos", code=event.code)
    if user is not None and enrolment.membership_of(event, user) is not None:
        return redirect(photos, 303)
    return render_template("guest/back.html", event=event, photos=photos)
