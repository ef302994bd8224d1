"""The first look at a selfie before it is sent, and further angles after joining."""

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp.errors import FindMeError, Invalid
from webapp.models import Event, Membership
from webapp.pages import joining
from webapp.pages.common import go, refuse
from webapp.reasons import sentence
from webapp.services.joining import enrolment
from webapp.services.selfies import angles as sides
from webapp.services.selfies import precheck
from webapp.services.selfies.precheck import Verdict
from webapp.web.access import event_codes, idempotency, picture_checks
from webapp.web.access.permissions import SELFIE_BODY, Who
from webapp.web.requests.forms import AngleForm

blueprint = Blueprint("guest_selfies", __name__, url_prefix="/e/<code>")

WHO = {"check": Who.ANYONE, "angles": Who.MEMBER, "skip": Who.MEMBER}
BODIES = {"check": SELFIE_BODY, "angles": SELFIE_BODY}
SKIPPED = "angles_skipped"
"""Public ids of events, in the session."""
_MOST_SKIPPED = 10


def _admit_check() -> ResponseReturnValue | None:
    """Answer at once, without reading the picture, where too many are checked already."""
    return None if picture_checks.begin() else _answer(precheck.UNKNOWN)


ADMISSIONS = {"check": _admit_check}
blueprint.teardown_request(picture_checks.end)


@blueprint.post("/selfie-check")
def check(code: str) -> ResponseReturnValue:
    """Say of a picture whether it looks good so far, before anyone agreed to anything: only a face is looked for in it,
    and nothing is kept. The check that counts is made when the selfie itself is sent.
    """
    event_codes.find(code)
    picture = request.files.get("file")
    if picture is None:
        raise Invalid(code="selfie_missing")
    return _answer(picture_checks.counted(precheck.ask(picture.stream, request.form.get("angle", "front"))))


@blueprint.route("/angles", methods=["GET", "POST"])
def angles(event: Event, membership: Membership) -> ResponseReturnValue:
    """Two further looks, one after the other; each can be left out."""
    missing = offered(event, membership, even_if_skipped=True)
    photos = url_for("guest.photos", code=event.code)
    if not missing and request.method == "GET":
        return go(photos)
    form = AngleForm()
    del form.consent
    asked = form.angle.data if form.is_submitted() else request.args.get("side")
    side = asked if form.is_submitted() or asked in missing else missing[0]
    form.angle.data = side
    values = {
        "event": event,
        "side": side,
        "step": 1 if side == sides.SIDES[0] else 2,
        "refusal": sides.refusal(enrolment.own_person(membership), side or ""),
        "further": next((other for other in missing if side == sides.SIDES[0] and other != side), None),
    }
    key = idempotency.of_form(joining.ANGLE, event, form.request_key.data)
    form.request_key.data = idempotency.field_value(joining.ANGLE, event)
    if not form.is_submitted():
        return render_template("guest/angles.html", form=form, **values)
    try:
        if side not in sides.SIDES:
            raise Invalid(code="angle_invalid")
        if form.validate():
            joining.take_selfie(event, membership, form, key, side=side)
            if offered(event, membership, even_if_skipped=True):
                return go(url_for("guest_selfies.angles", code=event.code))
            flash(gettext("Both looks are taken. They are checked now, and searched with beside your selfie."), "good")
            return go(photos)
    except FindMeError as error:
        form.show(error)
    return refuse(form, "guest/angles.html", **values)


@blueprint.post("/angles/skip")
def skip(event: Event, **_: Membership) -> ResponseReturnValue:
    """Offer no further looks in this browser."""
    skipped = [event.public_id, *(other for other in session.get(SKIPPED, ()) if other != event.public_id)]
    session[SKIPPED] = skipped[:_MOST_SKIPPED]
    return redirect(url_for("guest.photos", code=event.code), 303)


def offered(event: Event, membership: Membership, *, even_if_skipped: bool = False) -> list[str]:
    """The looks that a guest can add now."""
    if not membership.is_admitted or membership.search_stopped_at is not None:
        return []
    if not even_if_skipped and event.public_id in session.get(SKIPPED, ()):
        return []
    return sides.missing(enrolment.own_person(membership))


def _answer(verdict: Verdict) -> ResponseReturnValue:
    answer: dict[str, Any] = {"valid": verdict.valid, "detail": sentence(verdict.reason or "selfie_fits")}
    return jsonify(answer), picture_checks.status_of(verdict)
