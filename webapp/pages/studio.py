"""What photographers see: their events, and one event at a glance, live, with its guests."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from htmx_flask import request

from webapp.db.columns import is_row_id
from webapp.errors import FindMeError
from webapp.models import Event, Membership, MembershipRole
from webapp.pages import call_limit, studio_words
from webapp.pages.common import BUSY, IDLE, me, refuse, safe_next, trigger
from webapp.pages.event_settings import code_warning
from webapp.queueing import unit_of_work
from webapp.services.events import events, join_period
from webapp.services.joining import admission
from webapp.services.live.versions import BILL, DESK, mark_of, stamp
from webapp.services.matching import matching
from webapp.services.queries import event_figures, guest_list, guests_without, problems, timeline
from webapp.services.queries import event_overview as desk
from webapp.services.queries.guest_list import Show
from webapp.services.queries.guests_without import Why
from webapp.services.strangers import present_selfies, search_alerts, search_stops, selfie_allowance
from webapp.services.upkeep import usage
from webapp.services.uploads import intake
from webapp.web import polls
from webapp.web.access import event_codes
from webapp.web.access.permissions import Who
from webapp.web.links import join_url
from webapp.web.requests.forms import EventForm, LimitForm

blueprint = Blueprint("studio", __name__, url_prefix="/studio")

WHO = {"index": Who.STUDIO, "new": Who.PHOTOGRAPHER}
WHO |= dict.fromkeys(("event", "live", "rematch", "retry", "limit"), Who.RUNNER)
WHO |= dict.fromkeys(("guests", "guest", "retry_guests", "more_selfies", "allow_again"), Who.RUNNER)
blueprint.add_app_template_filter(studio_words.file_size, "file_size")
blueprint.add_app_template_filter(studio_words.time_left, "time_left")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The events that I run."""
    return render_template("studio/index.html", cards=events.cards_of(me(), running=True))


@blueprint.route("/events/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """A new event."""
    form = EventForm(timezone=events.usual_timezone(me()))
    if not form.is_submitted():
        return render_template("studio/new.html", form=form)
    if form.validate():
        try:
            with event_codes.choosing(), unit_of_work():
                made = events.create(me(), form.details())
            if warning := code_warning(made):
                flash(warning, "warn")
            return redirect(url_for("studio.event", event_id=made.public_id), 303)
        except FindMeError as error:
            form.show(error)
    form.process_errors()
    return refuse(form, "studio/new.html")


@blueprint.get("/events/<event_id>")
def event(event: Event, membership: Membership) -> ResponseReturnValue:
    """The event at a glance; its live region is the same file that `live` answers."""
    values = _live_values(membership)
    form = LimitForm(limit=event.call_limit) if values["owns"] else None
    joins = {"joins_until": join_period.last_day(event), "joins_over": join_period.is_over(event)}
    return render_template("studio/event.html", join_url=join_url(event), limit_form=form, **joins, **values)


@blueprint.get("/events/<event_id>/live")
def live(event: Event, membership: Membership) -> ResponseReturnValue:
    """The live region alone; nothing where nothing changed."""
    if not request.htmx:
        return redirect(url_for("studio.event", event_id=event.public_id))
    values = _live_values(membership)
    return polls.answer(values["stamp"], lambda: render_template("studio/_answer.html", **values))


@blueprint.post("/events/<event_id>/rematch")
def rematch(event: Event, membership: Membership) -> ResponseReturnValue:
    """Search again for everyone."""
    with unit_of_work():
        matching.request_rematch(event, membership.user)
    return _done(membership, gettext("We are searching again for everyone. You can leave this page."))


@blueprint.post("/events/<event_id>/retry")
def retry(event: Event, membership: Membership) -> ResponseReturnValue:
    """Try failed photos again: one (`?photo=`), or all."""
    with unit_of_work():
        count = intake.retry_failed(event, request.args.get("photo"))
    return _done(membership, ngettext("Trying %(num)s photo again.", "Trying %(num)s photos again.", count))


@blueprint.get("/events/<event_id>/guests")
def guests(event: Event, **_: Membership) -> ResponseReturnValue:
    """The event's guests: searched by name, filtered, and paged as one scrolls."""
    query, show, why = request.args.get("q", ""), *_shown_guests()
    found = guest_list.guests_of(
        event,
        limit=guest_list.PAGE + 1,
        before=request.args.get("before", type=_row_id),
        query=query,
        show=show,
        why=why,
    )
    values = {
        "event": event,
        "guests": found[: guest_list.PAGE],
        "selfies": present_selfies.of_people(row.row_id for row in found[: guest_list.PAGE]),
        "next_page": found[guest_list.PAGE - 1].row_id if len(found) > guest_list.PAGE else None,
        "query": query,
        "show": show,
        "why": why,
    }
    if request.htmx and "before" in request.args:
        return render_template("studio/_guest_rows.html", **values)
    reasons = studio_words.reasons(guests_without.count_by_reason(event)) if show is Show.NONE_YET else []
    return render_template("studio/guests.html", filters=_guest_filters(event), reasons=reasons, **values)


@blueprint.get("/events/<event_id>/guests/<person_id>")
def guest(event: Event, person_id: str, **_: Membership) -> ResponseReturnValue:
    """One guest: their selfies, how the search for them stands, and the photos that they were found on."""
    found = guest_list.guest_of(event, person_id)
    photos = guest_list.photos_of_guest(
        event, found, limit=guest_list.PHOTOS + 1, before=request.args.get("before", type=_row_id)
    )
    values = {
        "event": event,
        "guest": found,
        "photos": photos[: guest_list.PHOTOS],
        "next_page": photos[guest_list.PHOTOS - 1].photo.id if len(photos) > guest_list.PHOTOS else None,
    }
    if request.htmx and "before" in request.args:
        return render_template("studio/_guest_photos.html", **values)
    membership = selfie_allowance.membership_of(event, person_id)
    return render_template(
        "studio/guest.html",
        selfies=present_selfies.of_people([found.row_id])[found.row_id],
        allowance=selfie_allowance.of_person(event, person_id),
        stop=search_stops.stop_of(membership),
        # Told to the photographer only where the guest asked to be answered.
        address=membership.user.email if membership.note else None,
        **values,
    )


@blueprint.post("/events/<event_id>/guests/<person_id>/selfies")
def more_selfies(event: Event, person_id: str, membership: Membership) -> ResponseReturnValue:
    """Let a guest hand in five more selfies today."""
    with unit_of_work():
        selfie_allowance.give_more(event, person_id, membership.user)
    flash(gettext("This guest can hand in %(num)s more selfies today.", num=selfie_allowance.PER_DAY), "good")
    return redirect(url_for("studio.guest", event_id=event.public_id, person_id=person_id), 303)


@blueprint.post("/events/<event_id>/guests/<person_id>/allow")
def allow_again(event: Event, person_id: str, membership: Membership) -> ResponseReturnValue:
    """Let a guest whose selfies were erased after an alert hand in selfies again."""
    with unit_of_work():
        search_alerts.allow_again(event, person_id, membership.user)
    flash(gettext("This guest can hand in selfies again."), "good")
    return redirect(url_for("studio.guest", event_id=event.public_id, person_id=person_id), 303)


@blueprint.post("/events/<event_id>/guests/retry")
def retry_guests(event: Event, membership: Membership) -> ResponseReturnValue:
    """Try failed selfies and searches again: of one guest (`?person=`), or of all."""
    person_id = request.args.get("person")
    with unit_of_work():
        count = guest_list.retry(event, person_id)
    said = ngettext("Searching again for %(num)s guest.", "Searching again for %(num)s guests.", count)
    return _done(membership, said)


@blueprint.route("/events/<event_id>/limit", methods=["GET", "POST"])
def limit(event: Event, membership: Membership) -> ResponseReturnValue:
    """How many billable calls the event may make."""
    return call_limit.answer(event, membership.user, url_for("studio.event", event_id=event.public_id))


def _done(membership: Membership, said: str) -> ResponseReturnValue:
    """After a press of a button: htmx gets the live region, which shows it; a plain form goes back and is told."""
    event = membership.event
    if request.htmx:
        return render_template("studio/_answer.html", **_live_values(membership))
    flash(said, "good")
    return redirect(safe_next(request.args.get("next"), url_for("studio.event", event_id=event.public_id)), 303)


def _live_values(membership: Membership) -> dict[str, Any]:
    event = membership.event
    figures = event_figures.of_event(event)
    progress, billed = desk.progress_of_event(event), _billed(event)
    photos = desk.photos_of(event)
    guests = guest_list.guests_of(event, limit=guest_list.LATEST)
    trouble, alerts = problems.trouble_of(event), search_alerts.count_open(event)
    waiting = admission.waiting_of(event)
    shown = (
        figures,
        progress,
        billed,
        [desk.shown(photo) for photo in photos],
        guests,
        trouble,
        event.approval,
        alerts,
        waiting,
    )
    return {
        "event": event,
        "progress": progress,
        "without": studio_words.reasons(progress.without),
        "figures": figures,
        "arrivals": studio_words.chart_table(timeline.chart(event, figures.arrived), event),
        "over_time": studio_words.chart_table(timeline.chart(event, figures.came, figures.indexed), event),
        "costs": billed,
        # Only the owner is shown how to change the limit; whom it lets through, the service decides.
        "owns": membership.role is MembershipRole.OWNER,
        "stamp": stamp(shown, mark_of(DESK, event.id), mark_of(BILL, event.public_id)),
        "photos": photos,
        "guests": guests,
        "trouble": trouble,
        "admission": waiting,
        "alerts": alerts,
        "trigger": trigger(BUSY if progress.busy else IDLE),
    }


def _billed(event: Event) -> usage.Costs | None:
    """What the event costs; nothing where searching it costs nothing."""
    return usage.of_event(event) if usage.is_billed(event) else None


def _row_id(value: str) -> int:
    """A row's key in an address; whatever can be none counts as absent."""
    if not is_row_id(int(value)):
        raise ValueError(value)
    return int(value)


def _shown_guests() -> tuple[Show, Why | None]:
    """The filter of an address, and the reason for having no photo that it is narrowed to."""
    wanted, why = request.args.get("show", ""), request.args.get("why", "")
    show = Show(wanted) if wanted in list(Show) else Show.ALL
    return show, Why(why) if show is Show.NONE_YET and why in list(Why) else None


def _guest_filters(event: Event) -> list[tuple[str, str, int]]:
    """All, and each kind of guest that there is."""
    labels = {
        Show.ALL: gettext("Everyone"),
        Show.FOUND: gettext("With photos"),
        Show.NONE_YET: gettext("Without a photo"),
        Show.ADMISSION: gettext("Waiting to be admitted"),
        Show.NOT_ADMITTED: gettext("Not admitted"),
        Show.CHECKING: gettext("Checking"),
        Show.REFUSED: gettext("Selfie refused"),
        Show.FAILED: gettext("Failed"),
        Show.NO_SELFIE: gettext("No selfie"),
        Show.DISABLED: gettext("Account disabled"),
    }
    counts = guest_list.counts_of(event)
    return [(key.value, label, counts[key]) for key, label in labels.items() if counts[key] or key == "all"]
