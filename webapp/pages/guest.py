"""What guests see: the event, joining it, their photos as they are found, one photo, a new selfie."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from htmx_flask import request

from webapp.errors import FindMeError, NotFound
from webapp.models import Admission, Event, EventStatus, Membership, User
from webapp.pages.common import BUSY, IDLE, QUICK, go, me, refuse, trigger
from webapp.queueing import unit_of_work
from webapp.services.accounts import sign_in_links
from webapp.services.core import consents, rematch_requests
from webapp.services.erasure import selfie_erasure
from webapp.services.events import join_period
from webapp.services.joining import enrolment, merging, ready_mails, rejoining
from webapp.services.live.versions import EVENT, PERSON, mark_of, stamp
from webapp.services.matching import matching
from webapp.services.queries import gallery
from webapp.services.selfies import selfie_intake
from webapp.web import polls
from webapp.web.access import devices, event_codes, network
from webapp.web.access.permissions import SELFIE_BODY, Who
from webapp.web.access.sessions import sign_in, signed_in
from webapp.web.localisation import choose_language
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
    known = user is not None and selfie_intake.newest_accepted(user) is not None
    form = JoinForm() if user is None else JoinAgainForm(reuse=known)
    values = {"event": event, "known_selfie": known, "over": _over(event)}
    if not form.is_submitted():
        return render_template("guest/event.html", form=form, **values)
    try:
        if form.validate():
            _join(event, user, form)
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
    if not form.is_submitted():
        return render_template("guest/selfie.html", form=form, **values)
    try:
        if form.validate():
            _take_selfie(event, membership, form)
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


def _join(event: Event, user: User | None, form: JoinForm | JoinAgainForm) -> None:
    """Account, place in the event, consent, selfie and session: all of it or nothing."""
    language, origin = choose_language(), network.origin(form.source.data, devices.ensure())
    if isinstance(form, JoinAgainForm) and form.reuse.data and user is not None:
        rejoining.join_further(event, user, consent=form.consent_version.data, language=language, origin=origin)
        return
    with selfie_intake.staged(event, form.file.data.stream) as picture, unit_of_work():
        if isinstance(form, JoinForm):
            membership = enrolment.enrol(
                event,
                name=form.name.data or "",
                email=form.email.data or "",
                password=form.password.data or None,
                language=language,
                device=devices.ensure(),
            )
            sign_in_links.send_to_newcomer(membership, language)
        else:
            membership = enrolment.join(event, me())
        person = enrolment.own_person(membership)
        consents.grant_consent(person, form.consent_version.data or "", language=language)
        selfie_intake.receive_selfie(person, picture, origin=origin)
        if user is None:
            # Last, since a refusal above must leave the browser as it was, with the token of the form that it shows.
            sign_in(membership.user)


def _take_selfie(event: Event, membership: Membership, form: SelfieForm) -> None:
    with selfie_intake.staged(event, form.file.data.stream) as picture, unit_of_work():
        person = enrolment.own_person(membership)
        if form.consent:
            consents.grant_consent(person, form.consent_version.data or "", language=choose_language())
        selfie_intake.receive_selfie(person, picture, origin=network.origin(form.source.data, devices.ensure()))


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
