"""One's own account: proving its address, and other accounts that were made with the same address."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import FindMeError, Invalid
from webapp.pages.common import me, safe_next
from webapp.queueing import unit_of_work
from webapp.services.accounts import address_claims, sign_in_links
from webapp.services.joining import merging
from webapp.web.access import devices
from webapp.web.access.permissions import Who
from webapp.web.localisation import choose_language
from webapp.web.requests.forms import AddressForm

blueprint = Blueprint("account", __name__, url_prefix="/account")

WHO = dict.fromkeys(("address", "others", "decide"), Who.SIGNED_IN)


@blueprint.route("/address", methods=["GET", "POST"])
def address() -> ResponseReturnValue:
    """Which address the account has, whether it is proven, and a further link or another address."""
    user, form = me(), AddressForm()
    if not form.is_submitted():
        form.email.data = user.email
        return render_template("account/address.html", form=form, user=user)
    try:
        if form.validate():
            with unit_of_work():
                address_claims.claim(user, form.email.data or "")
                sent = sign_in_links.send_own(user, choose_language())
            if sent:
                flash(gettext("A link is on its way to %(email)s. It works for an hour.", email=user.email), "good")
            else:
                flash(gettext("We have written to this address often enough for now. Ask again in an hour."), "bad")
            return redirect(safe_next(request.args.get("next"), url_for("home.index")), 303)
    except FindMeError as error:
        form.show(error)
    return render_template("account/address.html", form=form, user=user), 422


@blueprint.get("/others")
def others() -> ResponseReturnValue:
    """Other accounts that were made with the address that this one has proven."""
    found = [
        (
            other,
            sign_in_links.events_of(other),
            other.device is not None and other.device == devices.known(),
            merging.in_both(other, me()),
        )
        for other in merging.others_of(me())
    ]
    return render_template("account/others.html", others=found)


@blueprint.post("/others/<account_id>")
def decide(account_id: str) -> ResponseReturnValue:
    """Put one of them together with this account, erase it, or say that it is somebody else's."""
    choice = request.form.get("choice", "")
    with unit_of_work():
        if choice == "join":
            merging.join(me(), account_id, devices.known())
            said = gettext("Done: its events are among yours now.")
        elif choice == "erase":
            receipt = merging.erase(me(), account_id)
            said = gettext("Done: the account is deleted, with its selfies. Your receipt: %(receipt)s", receipt=receipt)
        elif choice == "disown":
            merging.disown(me(), account_id)
            said = gettext("Done: your address no longer stands in that account.")
        else:
            raise Invalid(code="action_unknown")
        left = merging.has_others(me())
    flash(said, "good")
    return redirect(url_for("account.others") if left else url_for("home.index"), 303)
