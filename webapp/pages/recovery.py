"""The way back for accounts without a proven address: a recovery code, shown once, and the page that takes it."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import Conflict, FindMeError, TooMany
from webapp.pages.common import me
from webapp.queueing import unit_of_work
from webapp.services.accounts import recovery_codes, sign_in_links
from webapp.web.access import limits
from webapp.web.access.permissions import Who
from webapp.web.access.sessions import sign_in, signed_in
from webapp.web.links import absolute
from webapp.web.requests.forms import RecoveryForm

blueprint = Blueprint("recovery", __name__)

WHO = {"make": Who.SIGNED_IN, "back": Who.ANYONE}


@blueprint.route("/account/recovery", methods=["GET", "POST"])
def make() -> ResponseReturnValue:
    """Explain the code; a press of the button makes one and shows it, this time only."""
    code = None
    if request.method == "POST":
        with unit_of_work():
            code = recovery_codes.renew(me())
    link = absolute(url_for("recovery.back", code=code)) if code else None
    return render_template("account/recovery.html", user=me(), code=code, link=link)


@blueprint.route("/back", methods=["GET", "POST"])
def back() -> ResponseReturnValue:
    """Come back with a code, typed or in the address. Opening the address changes nothing: a person taps."""
    form, status = RecoveryForm(), 422
    if not form.is_submitted():
        form.code.data = request.args.get("code", "")[:64]
        return render_template("account/back.html", form=form)
    try:
        if form.validate():
            with limits.guess(limits.recovery_codes()), unit_of_work():
                user, present = recovery_codes.account_of(form.code.data or ""), signed_in()
                if present is not None and present.id != user.id:
                    # A link with a stranger's code must not cost a guest an account that they can't come back to.
                    raise Conflict(code="signed_in_otherwise")
                sign_in(user)
                events = sign_in_links.events_of(user)
            flash(gettext("Welcome back, %(name)s. If that is not you, sign out.", name=user.name), "good")
            target = url_for("guest.photos", code=events[0].code) if len(events) == 1 else url_for("home.index")
            return redirect(target, 303)
    except FindMeError as error:
        form.show(error)
        status = 429 if isinstance(error, TooMany) else 422
    return render_template("account/back.html", form=form), status
