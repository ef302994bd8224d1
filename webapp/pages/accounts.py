"""All accounts: finding one, disabling it, and enabling it again."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.db.columns import is_row_id
from webapp.pages.common import me
from webapp.queueing import unit_of_work
from webapp.services.accounts import account_list, disabling
from webapp.services.upkeep import cleanup
from webapp.web.access.permissions import Who

blueprint = Blueprint("accounts", __name__, url_prefix="/admin/people/accounts")

WHO = dict.fromkeys(("page", "account", "disable", "enable"), Who.ADMIN)


@blueprint.get("")
def page() -> ResponseReturnValue:
    """The accounts, searched by name, username or address, in pages."""
    query, before = request.args.get("q", ""), request.args.get("before", type=int)
    before = before if is_row_id(before) else None
    found = account_list.accounts_like(query, limit=account_list.PAGE + 1, before=before)
    shown = found[: account_list.PAGE]
    return render_template(
        "admin/accounts.html",
        accounts=shown,
        query=query,
        next_page=shown[-1].row_id if len(found) > len(shown) else None,
    )


@blueprint.get("/<user_id>")
def account(user_id: str) -> ResponseReturnValue:
    """One account, with what disabling it would do; pressing the button here is the confirmation."""
    return render_template("admin/account.html", account=account_list.account_of(user_id), me=me())


@blueprint.post("/<user_id>/disable")
def disable(user_id: str) -> ResponseReturnValue:
    """End all access and pending work of an account."""
    with unit_of_work():
        user = disabling.disable(user_id, me())
        row_id, name = user.id, user.name
    cleanup.give_up_uploads(of=row_id)
    return _done(user_id, gettext("The account of %(name)s is disabled.", name=name))


@blueprint.post("/<user_id>/enable")
def enable(user_id: str) -> ResponseReturnValue:
    """Let somebody sign in again."""
    with unit_of_work():
        name = disabling.enable(user_id, me()).name
    return _done(user_id, gettext("The account of %(name)s is enabled: they can sign in again.", name=name))


def _done(user_id: str, said: str) -> ResponseReturnValue:
    flash(said, "good")
    return redirect(url_for("accounts.account", user_id=user_id), 303)
