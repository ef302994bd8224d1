"""Signing in and out."""

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import NotFound, TooMany, Unauthenticated
from webapp.pages.common import dead_link, home_of, safe_next
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, passwords, sign_in_links
from webapp.services.joining import link_use, merging
from webapp.web.access import devices, limits
from webapp.web.access.permissions import Who
from webapp.web.access.sessions import sign_in as open_browser
from webapp.web.access.sessions import sign_out as close_browser
from webapp.web.access.sessions import signed_in
from webapp.web.localisation import choose_language
from webapp.web.requests.forms import SignInForm

blueprint = Blueprint("auth", __name__)

WHO = dict.fromkeys(("sign_in", "sign_out", "link", "send_link"), Who.ANYONE)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    """Name or address, and password."""
    form = SignInForm()
    user = signed_in()
    if user is not None and not form.is_submitted():
        return redirect(safe_next(request.args.get("next"), home_of(user)), 303)
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        login = form.login.data or ""
        try:
            with limits.guess(limits.passwords(login)):
                user = accounts.authenticate(login, form.password.data or "", devices.ensure())
            proof = user.password_hash
            with unit_of_work():
                open_browser(user, proof=proof)
        except (Unauthenticated, TooMany) as error:
            form.show(error)
            status = 429 if isinstance(error, TooMany) else 422
        else:
            session.setdefault("language", user.language) if user.language else None
            return redirect(safe_next(request.args.get("next"), home_of(user)), 303)
    return render_template("auth/sign_in.html", form=form), status


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Sign this browser out. An account that could not be signed in to again is warned first."""
    user = signed_in()
    if user is not None and not passwords.has_way_back(user) and "confirmed" not in request.form:
        return render_template("auth/sign_out.html")
    with unit_of_work():
        close_browser()
    return redirect(url_for("home.index"), 303)


@blueprint.post("/sign-in/link")
def send_link() -> ResponseReturnValue:
    """Mail a link; the answer is the same whether or not the address is known."""
    limits.count(limits.mails(), code="too_many_requests")
    with unit_of_work():
        sign_in_links.send_to(request.form.get("email", "")[:320], choose_language(), devices.known())
    flash(
        gettext(
            "If this address has joined an event, a link is on its way to it, and works for an hour. We send at most "
            "five an hour to one address."
        ),
        "good",
    )
    return redirect(url_for("auth.sign_in", next=safe_next(request.args.get("next"), "") or None), 303)


@blueprint.route("/sign-in/<token>", methods=["GET", "POST"])
def link(token: str) -> ResponseReturnValue:
    """Come in by a mailed link. Opening it changes nothing, since mail scanners open links too: a person taps."""
    user, device = signed_in(), devices.ensure()
    if request.method != "POST":
        account = sign_in_links.account_of(token)
        if account is None:
            return dead_link()
        familiar = sign_in_links.is_familiar(account.user, user, device)
        both = link_use.in_both(account) if familiar else []
        return render_template("auth/link.html", account=account, familiar=familiar, both=both)
    try:
        with limits.guess(limits.links()), unit_of_work():
            opened = link_use.use(token, user, device)
            open_browser(opened.user)
            others = merging.has_others(opened.user)
    except NotFound:
        return dead_link()
    home = home_of(opened.user) if opened.event is None else url_for("guest.photos", code=opened.event.code)
    return redirect(url_for("account.others") if others else home, 303)
