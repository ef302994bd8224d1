"""The first page, and the language switch."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from webapp.errors import NotFound, TooMany
from webapp.pages.common import safe_next
from webapp.queueing import unit_of_work
from webapp.services.events import events
from webapp.services.joining import merging
from webapp.web.access import event_codes
from webapp.web.access.permissions import Who
from webapp.web.access.sessions import signed_in
from webapp.web.localisation import LANGUAGES
from webapp.web.requests.forms import CodeForm

blueprint = Blueprint("home", __name__)

WHO = {"index": Who.ANYONE, "language": Who.ANYONE}


@blueprint.route("/", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    """What FindMe is, and the way into an event by its code."""
    form = CodeForm()
    status = 200
    if form.validate_on_submit():
        try:
            event = event_codes.find(form.code.data or "")
            return redirect(url_for("guest.landing", code=event.code), 303)
        except (NotFound, TooMany) as error:
            form.code.errors = []
            error.fields = {"code": error.code}
            form.show(error)
            status = 429 if isinstance(error, TooMany) else 422
    elif form.is_submitted():
        status = 422
    user = signed_in()
    cards = events.cards_of(user) if user else []
    others = user is not None and merging.has_others(user)
    return render_template("home/page.html", form=form, cards=cards, others=others), status


@blueprint.post("/language")
def language() -> ResponseReturnValue:
    """Switch the language and stay on the page; the account remembers it, too."""
    chosen = request.form.get("language", "")
    if chosen in LANGUAGES:
        session["language"] = chosen
        session.permanent = True
        user = signed_in()
        if user is not None:
            with unit_of_work():
                user.language = chosen
    return redirect(safe_next(request.form.get("next"), url_for("home.index")), 303)
