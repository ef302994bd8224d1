"""The form for an event's limit of billable calls, which photographers and admins reach from different pages."""

from flask import flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import Invalid
from webapp.models import Event, User
from webapp.pages.common import refuse
from webapp.queueing import unit_of_work
from webapp.services.upkeep import usage
from webapp.web.requests.forms import LimitForm

PAGE = "studio/limit.html"


def answer(event: Event, user: User, back: str) -> ResponseReturnValue:
    """Show the form, or take it and go `back`, to the page that it belongs to."""
    usage.require_may_limit(event, user)
    form = LimitForm(limit=event.call_limit)
    values = {"event": event, "costs": usage.of_event(event), "back": back}
    if not form.is_submitted():
        return render_template(PAGE, form=form, **values)
    try:
        if form.validate():
            limit = usage.read_limit(form.limit.data or "")
            with unit_of_work():
                resumed = usage.set_limit(event, limit, user)
            _tell(event, resumed)
            return redirect(back, 303)
    except Invalid as error:
        form.show(error)
    return refuse(form, PAGE, **values)


def _tell(event: Event, resumed: int) -> None:
    if usage.of_event(event).reached:
        flash(gettext("The limit is saved. It is used up already: raise it and the search goes on."), "bad")
    elif resumed:
        flash(gettext("The limit is saved. What had stopped goes on by itself now."), "good")
    else:
        flash(gettext("The limit is saved."), "good")
