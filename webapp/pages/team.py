"""The team of an event: who runs it, and whom its owner asked to."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import FindMeError
from webapp.models import Event, Membership, MembershipRole
from webapp.pages.common import refuse
from webapp.queueing import unit_of_work
from webapp.services.events import events, invitations, team
from webapp.web.access.permissions import Who
from webapp.web.localisation import choose_language
from webapp.web.requests.forms import InvitationForm

blueprint = Blueprint("team", __name__, url_prefix="/studio/events/<event_id>/team")

WHO = dict.fromkeys(("page", "add", "remove", "hand_over", "resend", "revoke"), Who.RUNNER)
PAGE = "studio/team.html"


@blueprint.get("")
def page(event: Event, membership: Membership) -> ResponseReturnValue:
    """Who runs the event."""
    return render_template(PAGE, form=InvitationForm(), **_values(event, membership))


@blueprint.post("")
def add(event: Event, membership: Membership) -> ResponseReturnValue:
    """A photographer joins the team at once; anybody else is asked by mail."""
    events.require_owner(event, membership.user)
    form = InvitationForm()
    try:
        if form.validate():
            with unit_of_work():
                sent = invitations.invite_to_team(event, form.email.data or "", membership.user, choose_language())
            if sent.added is not None:
                said = gettext("%(name)s is in the team now.", name=sent.added.name)
            else:
                said = gettext("The invitation is on its way. Its link works for 7 days.")
            return _done(event, said)
    except FindMeError as error:
        form.show(error)
    return refuse(form, PAGE, **_values(event, membership))


@blueprint.post("/members/<user_id>/remove")
def remove(event: Event, membership: Membership, user_id: str) -> ResponseReturnValue:
    """Out of the team: by the owner, or by oneself."""
    user = membership.user
    leaves = user.public_id == user_id
    with unit_of_work():
        team.remove(event, user_id, user)
    if leaves:
        flash(gettext("You have left the team."), "good")
        return redirect(url_for("studio.index" if team.may_enter_studio(user) else "home.index"), 303)
    return _done(event, gettext("Removed from the team."))


@blueprint.post("/members/<user_id>/owner")
def hand_over(event: Event, membership: Membership, user_id: str) -> ResponseReturnValue:
    """Somebody of the team owns the event from now on."""
    with unit_of_work():
        team.hand_over(event, user_id, membership.user)
    return _done(event, gettext("The event is handed over. You stay in its team."))


@blueprint.post("/invitations/<invitation_id>/resend")
def resend(event: Event, membership: Membership, invitation_id: str) -> ResponseReturnValue:
    """A new link; the one before no longer works."""
    events.require_owner(event, membership.user)
    with unit_of_work():
        invitations.resend(invitation_id, event, membership.user, choose_language())
    return _done(event, gettext("A new link is on its way; the one before no longer works."))


@blueprint.post("/invitations/<invitation_id>/revoke")
def revoke(event: Event, membership: Membership, invitation_id: str) -> ResponseReturnValue:
    """Take an invitation back."""
    events.require_owner(event, membership.user)
    with unit_of_work():
        invitations.revoke(invitation_id, event, membership.user)
    return _done(event, gettext("The invitation is taken back: its link no longer works."))


def _done(event: Event, words: str) -> ResponseReturnValue:
    flash(words, "good")
    return redirect(url_for("team.page", event_id=event.public_id), 303)


def _values(event: Event, membership: Membership) -> dict[str, Any]:
    owns = membership.role is MembershipRole.OWNER
    return {
        "event": event,
        "owns": owns,
        "me": membership.user,
        "members": team.members(event),
        "invitations": [(row, invitations.state_of(row)) for row in invitations.listed(event)] if owns else [],
    }
