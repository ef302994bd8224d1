"""The clocks of an event's cameras: what each showed, and by how much it is corrected."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext, ngettext
from wtforms import IntegerField, RadioField
from wtforms.validators import NumberRange, Optional

from webapp.models import Event, Membership
from webapp.queueing import unit_of_work
from webapp.reasons import SENTENCES
from webapp.services.photos import cameras
from webapp.services.photos.cameras import Clock
from webapp.web.access.permissions import Who
from webapp.web.requests.forms import PageForm

blueprint = Blueprint("cameras", __name__, url_prefix="/studio/events/<event_id>/cameras")

WHO = dict.fromkeys(("page", "set_clock"), Who.RUNNER)
PAGE = "studio/cameras.html"
MOST_HOURS = 24 * 3660


class ClockForm(PageForm):
    """By how much a camera's clock is off."""

    way = RadioField(
        lazy_gettext("This clock is"),
        choices=[("behind", lazy_gettext("behind")), ("ahead", lazy_gettext("ahead"))],
        validate_choice=True,
    )
    hours = IntegerField(
        lazy_gettext("Hours"), [Optional(), NumberRange(0, MOST_HOURS, SENTENCES["clock_offset_invalid"])]
    )
    minutes = IntegerField(lazy_gettext("Minutes"), [Optional(), NumberRange(0, 59, SENTENCES["clock_offset_invalid"])])
    seconds = IntegerField(lazy_gettext("Seconds"), [Optional(), NumberRange(0, 59, SENTENCES["clock_offset_invalid"])])

    @property
    def offset(self) -> int:
        """Seconds that are added to the clock: a clock that is behind showed too little."""
        size = (self.hours.data or 0) * 3600 + (self.minutes.data or 0) * 60 + (self.seconds.data or 0)
        return size if self.way.data == "behind" else -size


@blueprint.get("")
def page(event: Event, **_: Membership) -> ResponseReturnValue:
    """Every camera with an example photo, its time before and after."""
    return _show(event)


@blueprint.post("/<camera_id>")
def set_clock(event: Event, camera_id: str, membership: Membership) -> ResponseReturnValue:
    """Correct one camera's clock, which moves all its photos at once."""
    form = ClockForm()
    if not form.validate():
        return _show(event, camera_id), 422
    with unit_of_work():
        count = cameras.set_offset(event, camera_id, form.offset, membership.user)
    flash(
        ngettext(
            "The clock is set: %(num)s photo has its new time.",
            "The clock is set: %(num)s photos have their new times.",
            count,
        ),
        "good",
    )
    return redirect(url_for("cameras.page", event_id=event.public_id), 303)


def _show(event: Event, refused: str | None = None) -> str:
    clocks = cameras.clocks_of(event)
    if refused is not None:
        flash(gettext("Nothing was changed: %(why)s", why=SENTENCES["clock_offset_invalid"]), "bad")
    return render_template(PAGE, event=event, clocks=[_values(clock) for clock in clocks])


def _values(clock: Clock) -> dict[str, Any]:
    size = abs(clock.camera.offset_seconds)
    parts = {"hours": size // 3600, "minutes": size // 60 % 60, "seconds": size % 60}
    way = "ahead" if clock.camera.offset_seconds < 0 else "behind"
    return {"clock": clock, "parts": parts, "way": way, "is_set": size > 0}


@blueprint.app_template_filter()
def local_seconds(value: datetime | None, event: Event) -> str:
    """A moment in the event's timezone to the second, written as the camera's own time beside it."""
    return value.astimezone(ZoneInfo(event.timezone)).strftime("%Y-%m-%d %H:%M:%S") if value is not None else ""
