"""The event's page for guests who come back: by it a mail stays of use after its sign-in link has expired.

The address in a mail names the account, signed, so that one tap asks for a fresh link. It opens nothing by itself: the
link goes to the account's own mailbox.
"""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.models import User
from webapp.queueing import unit_of_work
from webapp.services.accounts import sign_in_links
from webapp.services.joining import enrolment
from webapp.web.access import devices, event_codes, limits
from webapp.web.access.permissions import Who
from webapp.web.access.sessions import signed_in
from webapp.web.links import back_reader
from webapp.web.localisation import choose_language

blueprint = Blueprint("coming_back", __name__, url_prefix="/e/<code>/back")

WHO = {"page": Who.ANYONE, "send": Who.ANYONE}


@blueprint.get("")
def page(code: str) -> ResponseReturnValue:
    """The event, and a form that mails a fresh sign-in link; members who are signed in go on to their photos."""
    event, user = event_codes.find(code), signed_in()
    photos = url_for("guest.photos", code=event.code)
    if user is not None and enrolment.membership_of(event, user) is not None:
        return redirect(photos, 303)
    reader = _reader()
    return render_template(
        "guest/back.html", event=event, photos=photos, reader=request.args.get("to") if reader else None
    )


@blueprint.post("")
def send(code: str) -> ResponseReturnValue:
    """Mail a link; the answer is the same whether or not the address is known."""
    event = event_codes.find(code)
    limits.count(limits.mails(), code="too_many_requests")
    reader = _reader()
    typed = request.form.get("email", "")[:320]
    with unit_of_work():
        sign_in_links.send_to(reader.email or "" if reader is not None else typed, choose_language(), devices.known())
    flash(
        gettext(
            "If this address has joined an event, a link is on its way to it, and works for an hour. We send at most "
            "five an hour to one address."
        ),
        "good",
    )
    return redirect(url_for("coming_back.page", code=event.code), 303)


def _reader() -> User | None:
    """The account whose mail brought its reader here; None where the address names none that has an address."""
    user = back_reader(request.args.get("to", ""))
    return user if user is not None and user.email is not None and user.disabled_at is None else None
