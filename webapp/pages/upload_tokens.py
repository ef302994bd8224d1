"""An event's upload tokens: who has one, a new one (shown once), and its end."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext, ngettext
from wtforms import SelectField, StringField
from wtforms.validators import InputRequired

from webapp.errors import FindMeError
from webapp.models import Event, EventStatus, Membership
from webapp.pages.common import refuse
from webapp.queueing import unit_of_work
from webapp.reasons import SENTENCES
from webapp.services.uploads import upload_tokens
from webapp.web.access.permissions import Who
from webapp.web.links import absolute
from webapp.web.requests.forms import PageForm

blueprint = Blueprint("upload_tokens", __name__, url_prefix="/studio/events/<event_id>/upload-tokens")

WHO = dict.fromkeys(("page", "make", "revoke"), Who.RUNNER)
PAGE = "studio/upload_tokens.html"


class TokenForm(PageForm):
    """A new token."""

    name = StringField(lazy_gettext("What is it for?"), [InputRequired(SENTENCES["upload_token_name_invalid"])])
    days = SelectField(lazy_gettext("Good for"), coerce=int, default=upload_tokens.DEFAULT_DAYS, validate_choice=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.days.choices = [
            (days, ngettext("%(num)s day", "%(num)s days", days) if days < 365 else gettext("1 year"))
            for days in upload_tokens.DAYS
        ]


@blueprint.get("")
def page(event: Event, **_: Membership) -> ResponseReturnValue:
    """The event's tokens and the form for a new one."""
    return render_template(PAGE, form=TokenForm(), **_values(event))


@blueprint.post("")
def make(event: Event, membership: Membership) -> ResponseReturnValue:
    """Make a token. The response is the only page that ever shows it."""
    form = TokenForm()
    if form.validate():
        try:
            with unit_of_work():
                row, token = upload_tokens.create(event, membership.user, form.name.data or "", form.days.data)
            page = render_template(PAGE, form=TokenForm(formdata=None), made=row, token=token, **_values(event))
            return page, 201
        except FindMeError as error:
            form.show(error)
    return refuse(form, PAGE, **_values(event))


@blueprint.post("/<token_id>/revoke")
def revoke(event: Event, membership: Membership, token_id: str) -> ResponseReturnValue:
    """End a token at once."""
    with unit_of_work():
        name = upload_tokens.revoke(event, membership.user, token_id).name
    flash(gettext("“%(name)s” can't upload any more. What it sent is kept.", name=name), "good")
    return redirect(url_for("upload_tokens.page", event_id=event.public_id), 303)


def _values(event: Event) -> dict[str, Any]:
    tokens = upload_tokens.tokens_of(event)
    return {
        "event": event,
        "tokens": [{"row": row, "valid": upload_tokens.is_valid(row)} for row in tokens],
        "makers": upload_tokens.makers_of(tokens),
        "open": event.status is EventStatus.OPEN,
        "address": absolute(""),
    }
