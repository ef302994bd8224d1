"""Mails about photos: guests ask for them and stop them, and the photographer has them sent."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from webapp.errors import Forbidden
from webapp.models import Event, Membership
from webapp.pages.common import me
from webapp.queueing import unit_of_work
from webapp.services.joining import ready_mails
from webapp.web.access.permissions import Who

blueprint = Blueprint("guest_mails", __name__)

WHO = {"choose": Who.MEMBER, "stop": Who.ANYONE, "announce": Who.RUNNER}
PROVEN_BY_ADDRESS = {"stop"}


@blueprint.post("/e/<code>/mails")
def choose(event: Event, membership: Membership) -> ResponseReturnValue:
    """Ask for mails about my photos, or stop them.

    Raises:
        Forbidden: the guest has no address that could be theirs.
    """
    wants = request.form.get("wants") == "y"
    if wants and not ready_mails.may_choose(membership):
        raise Forbidden(code="forbidden")
    with unit_of_work():
        ready_mails.choose(membership, wants=wants)
    if not wants:
        said = gettext("We send you no more mails about your photos.")
    elif membership.user.email_verified_at is None:
        said = gettext("We tell you by e-mail, once you have opened the link that we sent to your address.")
    else:
        said = gettext("We tell you by e-mail when there are new photos of you.")
    flash(said, "good")
    return redirect(url_for("guest.photos", code=event.code), 303)


@blueprint.route("/mails/stop/<token>", methods=["GET", "POST"])
def stop(token: str) -> ResponseReturnValue:
    """Stop the mails that a mail's link names. Opening it changes nothing, since mail scanners open links too."""
    membership = ready_mails.membership_of_token(token)
    if request.method == "POST":
        with unit_of_work():
            ready_mails.choose(membership, wants=False)
    return render_template("guest/stop_mails.html", event=membership.event, wants=membership.wants_mail, token=token)


@blueprint.post("/studio/events/<event_id>/ready")
def announce(event: Event, **_: Membership) -> ResponseReturnValue:
    """Tell the guests who asked for it that their photos are ready."""
    with unit_of_work():
        readers = ready_mails.announce(event, me())
    flash(
        ngettext(
            "%(num)s guest asked for a mail, and gets it as soon as there is a photo of them.",
            "%(num)s guests asked for a mail, and get it as soon as there are photos of them.",
            readers,
        )
        if readers
        else gettext("No guest has asked for a mail yet. Those who still ask get it as well."),
        "good",
    )
    return redirect(url_for("sharing.page", event_id=event.public_id), 303)
