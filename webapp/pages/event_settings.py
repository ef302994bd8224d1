"""The settings of an event: what it is called and looks like, how it publishes, closing it, and deleting it."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from webapp.errors import FindMeError, Invalid
from webapp.models import Event, Membership, MembershipRole
from webapp.pages.common import refuse
from webapp.queueing import unit_of_work
from webapp.services.erasure import event_erasure
from webapp.services.events import closing, covers, events, publishing_rules
from webapp.services.events import publishing as service
from webapp.services.events.join_period import last_day
from webapp.services.joining import admission
from webapp.web.access import event_codes
from webapp.web.access.permissions import MEGABYTE, Who
from webapp.web.requests.forms import (
    CoverForm,
    DeletionForm,
    EventForm,
    JoiningForm,
    PageForm,
    PublishingForm,
    event_form,
)

blueprint = Blueprint("event_settings", __name__, url_prefix="/studio/events/<event_id>/settings")

WHO = dict.fromkeys(("page", "save", "cover", "publishing", "joining", "close", "reopen", "delete"), Who.RUNNER)
BODIES = {"cover": (covers.MOST_MEGABYTES + 2) * MEGABYTE}
PAGE = "studio/settings.html"


@blueprint.get("")
def page(event: Event, membership: Membership) -> ResponseReturnValue:
    """All settings; each part is a form of its own."""
    return render_template(PAGE, **_values(event, membership))


@blueprint.post("")
def save(event: Event, membership: Membership) -> ResponseReturnValue:
    """Name, date, place, timezone, look, language, code, and whether there are many children."""
    form = EventForm()
    try:
        if form.validate():
            with event_codes.choosing(), unit_of_work():
                before = event.code_key
                count = events.edit(event, form.details(), membership.user)
            said = ngettext(
                "Saved. We are searching again for %(num)s person; the overview says what changes.",
                "Saved. We are searching again for %(num)s people; the overview says what changes.",
                count,
            )
            if event.code_key != before and (warning := code_warning(event)):
                flash(warning, "warn")
            return _done(event, said if count else gettext("Saved."))
    except FindMeError as error:
        form.show(error)
    form.process_errors()
    return refuse(form, PAGE, **_values(event, membership, form=form, part="details"))


@blueprint.post("/cover")
def cover(event: Event, membership: Membership) -> ResponseReturnValue:
    """A cover picture from a file, from one of the event's photos, or none."""
    form, user = CoverForm(), membership.user
    file = form.file.data
    try:
        if "remove" in request.form:
            covers.remove(event, user)
        elif form.photo.data:
            covers.set_photo(event, form.photo.data, user)
        elif file and getattr(file, "filename", ""):
            covers.set_picture(event, file.stream, user)
        else:
            raise Invalid(code="cover_missing", fields={"file": "cover_missing"})
        return _done(event, gettext("The cover is saved."))
    except FindMeError as error:
        form.show(error)
    return refuse(form, PAGE, **_values(event, membership, cover_form=form, part="cover"))


@blueprint.post("/publishing")
def publishing(event: Event, membership: Membership) -> ResponseReturnValue:
    """Publish at once or after approval, and the watermark."""
    form = PublishingForm()
    try:
        with unit_of_work():
            count = publishing_rules.set_rules(
                event,
                approval=bool(form.approval.data),
                waiting=form.waiting.data,
                watermark=form.watermark.data or "",
                actor=membership.user,
            )
        said = ngettext("Saved. %(num)s photo is published.", "Saved. %(num)s photos are published.", count)
        return _done(event, said if count else gettext("Saved."))
    except FindMeError as error:
        form.show(error)
    return refuse(form, PAGE, **_values(event, membership, publishing_form=form, part="publishing"))


@blueprint.post("/joining")
def joining(event: Event, membership: Membership) -> ResponseReturnValue:
    """Who may join, and until when."""
    form = JoiningForm()
    try:
        with unit_of_work():
            count = admission.set_rules(
                event, admits=bool(form.admits.data), join_days=form.join_days.data or "", actor=membership.user
            )
        said = ngettext(
            "Saved. %(num)s guest who waited is admitted.", "Saved. %(num)s guests who waited are admitted.", count
        )
        return _done(event, said if count else gettext("Saved."))
    except FindMeError as error:
        form.show(error)
    return refuse(form, PAGE, **_values(event, membership, joining_form=form, part="joining"))


@blueprint.post("/close")
def close(event: Event, membership: Membership) -> ResponseReturnValue:
    """No more joins and uploads."""
    with unit_of_work():
        closing.close(event, membership.user)
    return _done(event, gettext("The event is closed. Guests still see their photos."))


@blueprint.post("/reopen")
def reopen(event: Event, membership: Membership) -> ResponseReturnValue:
    """Joins and uploads again, and what has to be indexed anew."""
    with unit_of_work():
        count = closing.reopen(event, membership.user)
    said = gettext("The event is open again.")
    if count:
        more = ngettext(
            "%(num)s photo is searched for faces again; it goes on by itself.",
            "%(num)s photos are searched for faces again; it goes on by itself.",
            count,
        )
        said = f"{said} {more}"
    return _done(event, said)


@blueprint.post("/delete")
def delete(event: Event, membership: Membership) -> ResponseReturnValue:
    """Erase the event, once its owner has typed its name; the receipt is shown on the next page."""
    form, name = DeletionForm(), event.name
    try:
        with unit_of_work():
            receipt = event_erasure.delete_event(event, form.name.data or "", membership.user)
    except FindMeError as error:
        form.show(error)
        return refuse(form, PAGE, **_values(event, membership, deletion_form=form, part="delete"))
    flash(gettext("%(event)s is deleted. Your receipt: %(receipt)s", event=name, receipt=receipt), "good")
    return redirect(url_for("studio.index"), 303)


def code_warning(event: Event) -> str | None:
    """Return what a short code means and what to do about it; None for a code that is long enough."""
    if not events.can_be_guessed(event):
        return None
    words: str = gettext(
        "The code %(code)s can be guessed: it has fewer than 8 characters. Strangers who guess it can join and search "
        "for faces. Choose a longer one without names and dates, before you print QR codes and posters.",
        code=event.code,
    )
    return words


def _done(event: Event, words: str) -> ResponseReturnValue:
    flash(words, "good")
    return redirect(url_for("event_settings.page", event_id=event.public_id), 303)


def _values(event: Event, membership: Membership, **forms: PageForm | str) -> dict[str, Any]:
    """What the page shows; a form that could not be taken stands in for the one filled from the event."""
    values: dict[str, Any] = {
        "event": event,
        "owns": membership.role is MembershipRole.OWNER,
        "code_warning": code_warning(event),
        "details_form": forms.pop("form", None) or event_form(event),
        "cover_form": CoverForm(formdata=None),
        "publishing_form": PublishingForm(
            formdata=None, approval="y" if event.approval else "", watermark=event.watermark
        ),
        "joining_form": JoiningForm(
            formdata=None,
            admits="y" if event.admits_guests else "",
            join_days="" if event.join_days is None else str(event.join_days),
        ),
        "waiting_guests": admission.waiting_of(event)[1],
        "joins_until": last_day(event),
        "deletion_form": DeletionForm(formdata=None),
        "plain_form": PageForm(formdata=None),
        "choice": covers.choice(event),
        "waiting": service.waiting_of(event),
        "to_index": closing.to_index(event) if event.closed_at is not None else 0,
        "contents": event_erasure.contents_of(event),
        "part": None,
    }
    return values | forms
