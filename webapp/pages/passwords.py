"""Setting and changing a password, and setting a new one in place of one that is forgotten."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import FindMeError, NotFound, TooMany, Unauthenticated
from webapp.models import LinkPurpose, User
from webapp.pages.common import dead_link, home_of, me
from webapp.queueing import unit_of_work
from webapp.services.accounts import passwords, sign_in_links
from webapp.services.accounts.sign_in_links import Account
from webapp.services.joining import link_use, merging
from webapp.web.access import devices, limits
from webapp.web.access.permissions import Who
from webapp.web.access.sessions import sign_in as open_browser
from webapp.web.access.sessions import signed_in
from webapp.web.localisation import choose_language
from webapp.web.requests.account_forms import ChangePasswordForm, ForgottenForm, NewPasswordForm, password_form

blueprint = Blueprint("passwords", __name__)

WHO = {"own": Who.SIGNED_IN, "forgotten": Who.ANYONE, "reset": Who.ANYONE}


@blueprint.route("/account/password", methods=["GET", "POST"])
def own() -> ResponseReturnValue:
    """Set a password, or change it. All other browsers and API clients are signed out."""
    user, form, status = me(), password_form(me()), 200
    has_code = user.recovery_hash is not None
    has_one, possible = user.password_hash is not None, passwords.can_have_one(user)
    try:
        if form.validate_on_submit():
            _change(user, form)
            flash(
                gettext("Your password is changed. All other browsers and devices are signed out.")
                if has_one
                else gettext("Your password is set. All other browsers and devices are signed out."),
                "good",
            )
            if has_code:
                flash(gettext("Your recovery code has ended as well. Make a new one if you need it."), "good")
            return redirect(url_for("home.index"), 303)
        status = 422 if form.is_submitted() else 200
    except FindMeError as error:
        form.show(error)
        status = 429 if isinstance(error, TooMany) else 422
    return render_template("account/password.html", form=form, has_one=has_one, possible=possible), status


def _change(user: User, form: NewPasswordForm) -> None:
    proof = user.password_hash
    if isinstance(form, ChangePasswordForm):
        # Counted for the account, not for its address: an unproven one may be the address of another account's owner.
        with limits.guess(limits.passwords(user.public_id)):
            passwords.check_current(user, form.current.data or "")
    new = passwords.prepare(form.password.data or "")
    with unit_of_work():
        open_browser(passwords.change(user, new, proof))


@blueprint.route("/password/forgotten", methods=["GET", "POST"])
def forgotten() -> ResponseReturnValue:
    """Mail a link that sets a new password; the answer is the same whether or not the address is known."""
    form = ForgottenForm()
    if not form.validate_on_submit():
        return render_template("auth/forgotten.html", form=form), 422 if form.is_submitted() else 200
    limits.count(limits.mails(), code="too_many_requests")
    with unit_of_work():
        passwords.ask((form.email.data or "")[:320], choose_language(), devices.known())
    flash(
        gettext(
            "If this address has an account, a link that sets a new password is on its way to it, and works for an "
            "hour. We send at most five an hour to one address."
        ),
        "good",
    )
    return redirect(url_for("auth.sign_in"), 303)


@blueprint.route("/password/<token>", methods=["GET", "POST"])
def reset(token: str) -> ResponseReturnValue:
    """Set a new password by a mailed link. Opening it changes nothing."""
    form, device = NewPasswordForm(), devices.ensure()
    try:
        with limits.guess(limits.links()):
            account = _account_of(token)
        if form.validate_on_submit():
            return _reset(token, form, device)
    except NotFound:
        return dead_link()
    except (Unauthenticated, TooMany):
        raise
    except FindMeError as error:
        form.show(error)
    user = signed_in()
    familiar = sign_in_links.is_familiar(account.user, user, device)
    both = link_use.in_both(account) if familiar else []
    page = render_template("auth/new_password.html", form=form, account=account, familiar=familiar, both=both)
    return page, 422 if form.is_submitted() else 200


def _account_of(token: str) -> Account:
    account = sign_in_links.account_of(token, LinkPurpose.PASSWORD)
    if account is None:
        raise NotFound(code="link_invalid")
    return account


def _reset(token: str, form: NewPasswordForm, device: str) -> ResponseReturnValue:
    new = passwords.prepare(form.password.data or "")
    with unit_of_work():
        opened = link_use.reset_password(token, new, signed_in(), device)
        open_browser(opened.user)
        others = merging.has_others(opened.user)
    flash(gettext("Your new password is set. All other browsers and devices are signed out."), "good")
    return redirect(url_for("account.others") if others else home_of(opened.user), 303)
