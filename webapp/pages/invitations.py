"""Accepting an invitation. Opening its link changes nothing, since mail scanners open links too: a person taps."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import FindMeError, NotFound
from webapp.models import Invitation, User
from webapp.pages.common import refuse
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.events import invitations as service
from webapp.services.events.invitations import State
from webapp.web.access import limits
from webapp.web.access.permissions import Who
from webapp.web.access.sessions import sign_in, signed_in
from webapp.web.localisation import choose_language
from webapp.web.requests.forms import AcceptForm

blueprint = Blueprint("invitations", __name__, url_prefix="/invitations")

WHO = {"accept": Who.ANYONE}
PAGE, OVER = "invitations/accept.html", "invitations/over.html"


@blueprint.route("/<token>", methods=["GET", "POST"])
def accept(token: str) -> ResponseReturnValue:
    """Become a photographer or join a team, with a new account or the one that one has."""
    try:
        with limits.guess(limits.links()):
            invitation = service.of_token(token)
    except NotFound as error:
        return render_template(OVER, reason=error.code), 404
    state, user = service.state_of(invitation), signed_in()
    if state is not State.OPEN:
        return render_template(OVER, reason=f"invitation_{state}"), 410
    form, values = AcceptForm(), _values(invitation, user)
    if not form.is_submitted():
        return render_template(PAGE, form=form, **values)
    try:
        accepted = _accept(token, invitation, user, form)
    except NotFound as error:
        # Somebody was faster, or it ended meanwhile.
        return render_template(OVER, reason=error.code), 410
    except FindMeError as error:
        form.show(error)
        return refuse(form, PAGE, **_values(service.of_token(token), signed_in()))
    event = service.event_of(invitation)
    if event is None:
        flash(gettext("Welcome, %(name)s. You can make events now.", name=accepted.name), "good")
        return redirect(url_for("studio.index"), 303)
    said = gettext("Welcome, %(name)s. You are in the team of %(event)s now.", name=accepted.name, event=event.name)
    flash(said, "good")
    return redirect(url_for("studio.event", event_id=event.public_id), 303)


def _accept(token: str, invitation: Invitation, user: User | None, form: AcceptForm) -> User:
    if user is not None and service.can_accept(invitation, user):
        with unit_of_work():
            return service.accept_as(token, user)
    name, password, language = form.name.data or "", form.password.data or "", choose_language()
    accounts.check_input(invitation.email, name, password)
    password_hash = accounts.hash_password(password)
    with unit_of_work():
        made = service.accept_anew(token, name=name, password_hash=password_hash, language=language)
        sign_in(made)
    return made


def _values(invitation: Invitation, user: User | None) -> dict[str, Any]:
    """Which of the three ways in there is: with the account that is open, by signing in first, or anew."""
    mine = user is not None and service.can_accept(invitation, user)
    known = accounts.verified_user(invitation.email) is not None
    way = "as" if mine else "sign_in" if known else "new"
    return {"invitation": invitation, "invited_to": service.event_of(invitation), "way": way, "user": user}
