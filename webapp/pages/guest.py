"""What guests see: the event, joining it, their photos as they are found, one photo, a new selfie."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from htmx_flask import request

from webapp.errors import Conflict, FindMeError, NotFound
from webapp.models import Admission, Event, EventStatus, Membership
from webapp.pages import guest_selfies, guest_shared, joining
from webapp.pages.common import BUSY, IDLE, QUICK, go, me, refuse, trigger
from webapp.queueing import unit_of_work
from webapp.services.core import consents, rematch_requests
from webapp.services.erasure import selfie_erasure
from webapp.services.events import join_period
from webapp.services.joining import enrolment, merging, ready_mails
from webapp.services.live.versions import EVENT, PERSON, mark_of, stamp
from webapp.services.matching import matching
from webapp.services.queries import gallery
from webapp.services.selfies import selfie_intake
from webapp.web import polls
from webapp.web.access import event_codes, idempotency
from webapp.web.access.permissions import SELFIE_BODY, Who
from webapp.web.access.sessions import signed_in
from webapp.web.requests.forms import JoinAgainForm, JoinForm, SelfieForm

blueprint = Blueprint("guest", __name__, url_prefix="/e/<code>")

WHO = dict.fromkeys(("photos", "live", "photo", "verdict", "selfie", "search_again", "withdraw"), Who.MEMBER)
WHO["landing"] = Who.ANYONE
BODIES = {"landing": SELFIE_BODY, "selfie": SELFIE_BODY}


@blueprint.route("", methods=["GET", "POST"])
def landing(code: str) -> ResponseReturnValue:
    """The event's page with the form that joins it; members are taken to their photos."""
    event, user = event_codes.find(code), signed_in()
    if user is not None and enrolment.membership_of(event, user) is not None:
        return go(url_for("guest.photos", code=event.code))
    if user is None and request.method == "GET" and _came_back(event):
        return go(url_for("guest.photos", code=event.code))
    known = user is not None and selfie_intake.newest_accepted(user) is not None
    form = JoinForm() if user is None else JoinAgainForm(reuse=known)
    values = {"event": event, "known_selfie": known, "over": _over(event), "shares": gallery.shares_photos(event)}
    who = form.name.data or "" if isinstance(form, JoinForm) else ""
    key = idempotency.of_form(joining.JOIN, event, form.request_key.data, who)
    form.request_key.data = idempotency.field_value(joining.JOIN, event)
    if not form.is_submitted():
        return render_template("guest/event.html", form=form, **values)
    try:
        if joining.resume(event, key) or (form.validate() and joining.join(event, user, form, key)):
            return go(url_for("guest.photos", code=event.code))
    except FindMeError as error:
        form.show(error)
    return refuse(form, "guest/event.html", **values)


@blueprint.get("/photos")
def photos(event: Event, membership: Membership) -> ResponseReturnValue:
    """My photos: the whole page; its live region is the same file that `live` answers."""
    return render_template(
        "guest/photos.html",
        event=event,
        membership=membership,
        others=merging.has_others(membership.user),
        shares=guest_shared.may_see(membership) and gallery.shares_photos(event),
        angles=guest_selfies.offered(event, membership),
        may_choose_mail=ready_mails.may_choose(membership),
        **_live_values(membership),
    )


@blueprint.get("/photos/live")
def live(event: Event, membership: Membership) -> ResponseReturnValue:
    """The live region alone; nothing where nothing changed."""
    if not request.htmx:
        return redirect(url_for("guest.photos", code=event.code))
    values = _live_values(membership)
    return polls.answer(
        values["stamp"], lambda: render_template("guest/_live.html", event=event, membership=membership, **values)
    )


@blueprint.get("/photos/<photo_id>")
def photo(event: Event, membership: Membership, photo_id: str) -> ResponseReturnValue:
    """One of my photos, large, with its neighbours."""
    cards = gallery.my_photos(enrolment.own_person(membership))
    places = [place for place, card in enumerate(cards) if card.public_id == photo_id]
    if not places:
        raise NotFound(code="match_unknown")
    place = places[0]
    return render_template(
        "guest/photo.html",
        event=event,
        photo=cards[place],
        position=place + 1,
        total=len(cards),
        previous=cards[place - 1].public_id if place else None,
        next=cards[place + 1].public_id if place + 1 < len(cards) else None,
    )


@blueprint.post("/matches/<match_id>")
def verdict(event: Event, membership: Membership, match_id: str) -> ResponseReturnValue:
    """Yes, that's me; or not me."""
    said = request.form.get("verdict", "")
    with unit_of_work():
        matching.give_verdict(me(), match_id, said)
    if request.htmx:
        return render_template("guest/_live.html", event=event, membership=membership, **_live_values(membership))
    flash(
        gettext("Thank you. This photo is no longer among yours.")
        if said == "rejected"
        else gettext("Added to your photos."),
        "good",
    )
    return redirect(url_for("guest.photos", code=event.code), 303)


@blueprint.route("/selfie", methods=["GET", "POST"])
def selfie(event: Event, membership: Membership) -> ResponseReturnValue:
    """Another selfie; the one before stays until this one is accepted."""
    if membership.admission is Admission.REFUSED and request.method == "GET":
        return go(url_for("guest.photos", code=event.code))  # where it says so
    person = enrolment.own_person(membership)
    form = SelfieForm()
    if consents.has_agreed(person):
        del form.consent
    agreed = consents.active_consent(person) is not None
    values = {"event": event, "progress": gallery.progress_of(membership, person), "agreed": agreed}
    key = idempotency.of_form(joining.SELFIE, event, form.request_key.data)
    form.request_key.data = idempotency.field_value(joining.SELFIE, event)
    if not form.is_submitted():
        if joining.is_taken(event):
            return go(url_for("guest.photos", code=event.code))  # its answer had not arrived
        return render_template("guest/selfie.html", form=form, **values)
    try:
        if form.validate():
            joining.take_selfie(event, membership, form, key)
            return go(url_for("guest.photos", code=event.code))
    except FindMeError as error:
        form.show(error)
    return refuse(form, "guest/selfie.html", **values)


@blueprint.post("/search")
def search_again(event: Event, membership: Membership) -> ResponseReturnValue:
    """After a search that gave up: once more."""
    with unit_of_work():
        rematch_requests.mark([enrolment.own_person(membership).id])
    return redirect(url_for("guest.photos", code=event.code), 303)


@blueprint.post("/withdraw")
def withdraw(event: Event, membership: Membership) -> ResponseReturnValue:
    """Take consent back: selfies, what was computed of them and all matches are erased at once."""
    with unit_of_work():
        selfie_erasure.withdraw(enrolment.own_person(membership))
    flash(gettext("Done: your selfie and everything that was found with it are deleted."), "good")
    return redirect(url_for("guest.photos", code=event.code), 303)


def _over(event: Event) -> str | None:
    """Why nobody can join any more; None while one can."""
    if event.status is EventStatus.CLOSED:
        return "event_closed"
    return "joins_over" if join_period.is_over(event) else None


def _came_back(event: Event) -> bool:
    """Sign a browser in that has joined already; return False where it has not, or its session has ended."""
    try:
        return joining.resume_browser(event)
    except Conflict:
        return False


def _live_values(membership: Membership) -> dict[str, Any]:
    person = enrolment.own_person(membership)
    progress, photos, questions = (
        gallery.progress_of(membership, person),
        gallery.my_photos(person),
        gallery.questions(person),
    )
    event = membership.event
    shown = (event.code, event.timezone, progress.shown, [card.shown for card in photos], questions)
    return {
        "progress": progress,
        "photos": photos,
        "questions": questions,
        "stamp": stamp(shown, mark_of(EVENT, event.id), mark_of(PERSON, person.id)),
        "trigger": trigger(QUICK if progress.checking else BUSY if progress.searching else IDLE),
    }
