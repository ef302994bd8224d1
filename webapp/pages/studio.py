"""What photographers see: their events, and one event with its upload, photos and guests, live."""

import io
from typing import Any

import segno
from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from htmx_flask import request

from webapp import polls
from webapp.columns import is_row_id
from webapp.errors import FindMeError, Invalid, NotFound
from webapp.forms import EventForm, LimitForm
from webapp.links import join_url
from webapp.models import Event, Membership, MembershipRole, PhotoStatus
from webapp.pages import call_limit
from webapp.pages.common import BUSY, IDLE, me, refuse, trigger
from webapp.permissions import PHOTOS_BODY, Who
from webapp.queueing import unit_of_work
from webapp.services import costs, events, matching, uploads
from webapp.services import studio as desk
from webapp.services.live import BILL, DESK, mark_of, stamp

blueprint = Blueprint("studio", __name__, url_prefix="/studio")

WHO = {"index": Who.PHOTOGRAPHER, "new": Who.PHOTOGRAPHER}
WHO |= dict.fromkeys(("event", "live", "upload", "rematch", "retry", "limit", "qr"), Who.RUNNER)
BODIES = {"upload": PHOTOS_BODY}
QR_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The events that I run."""
    return render_template("studio/index.html", cards=events.cards_of(me(), running=True))


@blueprint.route("/events/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """A new event."""
    form = EventForm()
    if not form.is_submitted():
        return render_template("studio/new.html", form=form)
    if form.validate():
        try:
            with unit_of_work():
                made = events.create_event(
                    me(),
                    name=form.name.data or "",
                    date=form.date.data,
                    place=form.place.data or "",
                    code=form.code.data or None,
                )
            return redirect(url_for("studio.event", event_id=made.public_id), 303)
        except FindMeError as error:
            form.show(error)
    form.process_errors()
    return refuse(form, "studio/new.html")


@blueprint.get("/events/<event_id>")
def event(event: Event, membership: Membership) -> ResponseReturnValue:
    """The event's dashboard; its live region is the same file that `live` answers."""
    values = _live_values(membership)
    form = LimitForm(limit=event.call_limit) if values["owns"] else None
    return render_template("studio/event.html", join_url=join_url(event), limit_form=form, **values)


@blueprint.get("/events/<event_id>/live")
def live(event: Event, membership: Membership) -> ResponseReturnValue:
    """The live region alone; nothing where nothing changed."""
    if not request.htmx:
        return redirect(url_for("studio.event", event_id=event.public_id))
    values = _live_values(membership)
    return polls.answer(values["stamp"], lambda: render_template("studio/_answer.html", **values))


@blueprint.post("/events/<event_id>/photos")
def upload(event: Event, membership: Membership) -> ResponseReturnValue:
    """Take photos in: one a request from the script, all at once from the plain form. Each gets its own answer."""
    files = [file for file in request.files.getlist("files") if file.filename]
    if not files:
        raise Invalid(code="no_files")
    user = membership.user
    results = [uploads.receive_photo(event, user, file.filename or "", file.stream) for file in files]
    page = "studio/_upload_rows.html" if request.htmx else "studio/uploaded.html"
    return render_template(page, event=event, results=results)


@blueprint.post("/events/<event_id>/rematch")
def rematch(event: Event, membership: Membership) -> ResponseReturnValue:
    """Search again for everyone."""
    with unit_of_work():
        matching.request_rematch(event, membership.user)
    if request.htmx:
        return render_template("studio/_answer.html", **_live_values(membership))
    flash(gettext("We are searching again for everyone. You can leave this page."), "good")
    return redirect(url_for("studio.event", event_id=event.public_id), 303)


@blueprint.post("/events/<event_id>/retry")
def retry(event: Event, **_: Membership) -> ResponseReturnValue:
    """Try failed photos again: one (`?photo=`), or all."""
    with unit_of_work():
        count = uploads.retry_failed(event, request.args.get("photo"))
    flash(ngettext("Trying %(num)s photo again.", "Trying %(num)s photos again.", count), "good")
    return redirect(url_for("studio.event", event_id=event.public_id), 303)


@blueprint.route("/events/<event_id>/limit", methods=["GET", "POST"])
def limit(event: Event, membership: Membership) -> ResponseReturnValue:
    """How many billable calls the event may make."""
    return call_limit.answer(event, membership.user, url_for("studio.event", event_id=event.public_id))


@blueprint.get("/events/<event_id>/qr.<kind>")
def qr(event: Event, kind: str, **_: Membership) -> Response:
    """The join link as a QR code: SVG for the screen, PNG to print."""
    if kind not in QR_TYPES:
        raise NotFound(code="not_found")
    drawn = io.BytesIO()
    code = segno.make(join_url(event), error="m", micro=False)
    if kind == "svg":
        code.save(drawn, kind="svg", border=0, xmldecl=False, svgns=True)
    else:
        code.save(drawn, kind="png", scale=24, border=4)
    return Response(drawn.getvalue(), mimetype=QR_TYPES[kind])


def _live_values(membership: Membership) -> dict[str, Any]:
    event = membership.event
    progress, billed = desk.progress_of_event(event), _billed(event)
    status = request.args.get("status", "")
    wanted = PhotoStatus(status) if status in [word.value for word in PhotoStatus] else None
    before = request.args.get("before", type=_row_id)
    photos = desk.photos_of(event, status=wanted, limit=desk.PAGE + 1, before=before)
    guests = desk.guests_of(event)
    shown = (progress, billed, [desk.shown(photo) for photo in photos], guests)
    return {
        "event": event,
        "progress": progress,
        "costs": billed,
        # Only the owner is shown how to change the limit; whom it lets through, the service decides.
        "owns": membership.role is MembershipRole.OWNER,
        "stamp": stamp(shown, mark_of(DESK, event.id), mark_of(BILL, event.public_id)),
        "status": wanted.value if wanted else None,
        "filters": _filters(progress),
        "photos": photos[: desk.PAGE],
        "next_page": photos[desk.PAGE - 1].id if len(photos) > desk.PAGE else None,
        "guests": guests,
        # A page of older photos stands still, so that nothing is swapped under the reader.
        "trigger": trigger(BUSY if progress.busy else IDLE) if before is None else None,
    }


def _billed(event: Event) -> costs.Costs | None:
    """What the event costs; nothing where searching it costs nothing."""
    return costs.of_event(event) if costs.is_billed(event) else None


def _row_id(value: str) -> int:
    """A row's key in an address; whatever can be none counts as absent."""
    if not is_row_id(int(value)):
        raise ValueError(value)
    return int(value)


def _filters(progress: desk.EventProgress) -> list[tuple[str | None, str, int]]:
    """All, and each state that has photos."""
    labels = {
        PhotoStatus.INDEXED: gettext("Ready"),
        PhotoStatus.UPLOADED: gettext("Waiting"),
        PhotoStatus.INDEXING: gettext("In work"),
        PhotoStatus.FAILED: gettext("Failed"),
    }
    some = [(key.value, label, progress.by_status[key]) for key, label in labels.items() if progress.by_status.get(key)]
    return [(None, gettext("All"), progress.total), *some]
