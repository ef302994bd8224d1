"""Who may make events here, and whom an admin has invited to."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import FindMeError
from webapp.pages.common import me, refuse
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.events import invitations
from webapp.web.access.permissions import Who
from webapp.web.localisation import choose_language
from webapp.web.requests.forms import InvitationForm

blueprint = Blueprint("people", __name__, url_prefix="/admin/people")

WHO = dict.fromkeys(("page", "invite", "resend", "revoke"), Who.ADMIN)
PAGE = "admin/people.html"


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Photographers and admins, and open invitations."""
    return render_template(PAGE, form=InvitationForm(), **_values())


@blueprint.post("")
def invite() -> ResponseReturnValue:
    """Ask somebody to become a photographer."""
    form = InvitationForm()
    try:
        if form.validate():
            with unit_of_work():
                invitations.invite_photographer(form.email.data or "", me(), choose_language())
            return _done(gettext("The invitation is on its way. Its link works for 7 days."))
    except FindMeError as error:
        form.show(error)
    return refuse(form, PAGE, **_values())


@blueprint.post("/invitations/<invitation_id>/resend")
def resend(invitation_id: str) -> ResponseReturnValue:
    """A new link; the one before no longer works."""
    with unit_of_work():
        invitations.resend(invitation_id, None, me(), choose_language())
    return _done(gettext("A new link is on its way; the one before no longer works."))


@blueprint.post("/invitations/<invitation_id>/revoke")
def revoke(invitation_id: str) -> ResponseReturnValue:
    """Take an invitation back."""
    with unit_of_work():
        invitations.revoke(invitation_id, None, me())
    return _done(gettext("The invitation is taken back: its link no longer works."))


def _done(words: str) -> ResponseReturnValue:
    flash(words, "good")
    return redirect(url_for("people.page"), 303)


def _values() -> dict[str, Any]:
    return {
        "people": accounts.photographers(),
        "invitations": [(row, invitations.state_of(row)) for row in invitations.listed(None)],
    }
