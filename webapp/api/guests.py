"""What a guest's client does: hand in a selfie, follow the search, read photos, say yes or not me."""

from typing import Any

from flask import Response, jsonify, url_for
from flask.typing import ResponseReturnValue

from webapp.api import answers, schemas
from webapp.api.common import (
    LINK,
    SELFIE_ERRORS,
    Blueprint,
    caller,
    language,
    member,
    next_link,
    row_cursor,
    time_cursor,
)
from webapp.errors import Conflict
from webapp.models import Event, Match, Person, SelfieStatus
from webapp.queueing import unit_of_work
from webapp.reasons import sentence
from webapp.services.core import consents
from webapp.services.core import idempotency as once
from webapp.services.erasure import selfie_erasure
from webapp.services.joining import enrolment
from webapp.services.matching import matching
from webapp.services.queries import gallery
from webapp.services.queries.gallery import PhotoCard
from webapp.services.selfies import precheck, selfie_intake
from webapp.services.selfies.precheck import Verdict
from webapp.web.access import devices, idempotency, network, picture_checks
from webapp.web.access.permissions import SELFIE_BODY, Who

blueprint = Blueprint("api_guests", __name__, url_prefix="/api", description="Selfies and photos of a guest")

WHO = dict.fromkeys(
    (
        "upload_selfie",
        "rematch_status",
        "my_photos",
        "all_photos",
        "give_verdict",
        "delete_selfie",
        "event_expiration",
    ),
    Who.SIGNED_IN,
) | {"validate_selfie": Who.ANYONE}
BODIES = {"upload_selfie": SELFIE_BODY, "validate_selfie": SELFIE_BODY}

_PHOTOS_OR_QUESTIONS = {"type": "array", "items": {"oneOf": [answers.PhotoAnswer, answers.QuestionAnswer]}}


def _admit_check() -> ResponseReturnValue | None:
    """Answer at once where too many pictures are checked already, or too many of this caller were refused and wait,
    without reading one more.
    """
    if picture_checks.begin():
        return None
    answer, status = _verdict(precheck.UNKNOWN)
    return jsonify(answer), status


blueprint.teardown_request(picture_checks.end)

ADMISSIONS = {"validate_selfie": _admit_check}


@blueprint.post("/validate-selfie")
@blueprint.arguments(schemas.SelfieQuestion, location="multipart")
@blueprint.response(200, answers.PictureAnswer)
@blueprint.errors(angle_invalid=422, too_many_guesses=429)
@blueprint.alt_response(202, schema=answers.PictureAnswer, success=True, description="not known yet")
def validate_selfie(form: dict[str, Any]) -> Any:
    """Whether a picture would do as a selfie, before anybody signs up; a hint that promises nothing.

    The file's size and head are looked at here; the rest is seen by a worker that finds faces, looks at their size,
    light, sharpness and turn, computes no template of a face, and keeps nothing. `valid: true` means that nothing was
    seen to be wrong: whether the face is clear enough to be known again is found out after consent, when the selfie
    itself is sent.

    The worker gets two seconds. What it can't say by then is a 202 with `valid: null` and the reason `checking`: then
    go on, since the check that counts is made when the selfie itself is sent. While many pictures are checked, that is
    the answer at once, before this one is read.
    """
    return _verdict(picture_checks.counted(precheck.ask(form["file"].stream, form["angle"])))


def _verdict(verdict: Verdict) -> tuple[dict[str, Any], int]:
    answer = {
        "valid": verdict.valid,
        "reason": verdict.reason,
        "detail": sentence(verdict.reason or "selfie_fits"),
    }
    return answer, picture_checks.status_of(verdict)


@blueprint.post("/upload-selfie")
@blueprint.arguments(schemas.SelfieForm, location="multipart")
@blueprint.response(200, answers.SelfieAnswer)
@blueprint.errors(
    not_found=404,
    consent_required=409,
    not_admitted=409,
    search_stopped=409,
    search_refused=409,
    angle_invalid=422,
    selfies_enough=429,
    idempotency_key_invalid=422,
    idempotency_key_reused=422,
    **SELFIE_ERRORS,
)
@blueprint.doc(parameters=[idempotency.PARAMETER])
def upload_selfie(form: dict[str, Any]) -> dict[str, Any]:
    """Take a selfie in at once; the one before and its matches live on until this one is accepted."""
    user = caller()
    membership = member(user, form["event_id"])
    key = idempotency.of_header("selfie", user, form["event_id"], form["angle"], form["add"])

    def take() -> dict[str, Any]:
        if not (form["consent"] or consents.has_agreed(enrolment.own_person(membership))):
            raise Conflict(code="consent_required", fields={"consent": "consent_required"})
        with selfie_intake.staged(membership.event, form["file"].stream) as picture, unit_of_work():
            person = enrolment.own_person(membership)
            if form["consent"]:
                consents.grant_consent(person, consents.CONSENT_VERSION, language=language())
            origin = network.origin(form["source"], devices.known())
            selfie = selfie_intake.receive_selfie(person, picture, form["angle"], adds=form["add"], origin=origin)
            once.record(key, user, membership.event)
            return {"status": selfie.status}

    return once.once(key, take, lambda _: {"status": SelfieStatus.RECEIVED})


@blueprint.get("/rematch-status")
@blueprint.arguments(schemas.EventQuery, location="query")
@blueprint.response(200, answers.StatusAnswer)
@blueprint.errors(not_found=404)
def rematch_status(query: dict[str, Any]) -> dict[str, Any]:
    """How the search goes, counted from rows."""
    membership = member(caller(), query["event_id"])
    progress = gallery.progress_of(membership, enrolment.own_person(membership))
    told = ("rejected", "failed", "waiting", "not_admitted", "stopped")
    reason = progress.reason if progress.status in told else None
    return {
        "status": progress.status,
        "reason": reason,
        "detail": sentence(reason) if reason else None,
        "photos_total": progress.photos_total,
        "photos_indexed": progress.photos_indexed,
        "matches": progress.found,
    }


@blueprint.get("/user/event-expiration")
@blueprint.arguments(schemas.EventQuery, location="query")
@blueprint.response(200, answers.Expiration)
@blueprint.errors(not_found=404)
def event_expiration(query: dict[str, Any]) -> dict[str, Any]:
    """When the event and its photos are erased. Events have no end yet, and nothing is erased by itself."""
    membership = member(caller(), query["event_id"])
    photos = gallery.photos_found(enrolment.own_person(membership))
    return {"expires_at": None, "seconds_left": None, "photos": photos}


@blueprint.get("/my-photos")
@blueprint.arguments(schemas.PhotoQuery, location="query")
@blueprint.response(200, _PHOTOS_OR_QUESTIONS, headers=LINK)
@blueprint.errors(not_found=404, cursor_invalid=422)
def my_photos(query: dict[str, Any]) -> Response:
    """My photos, newest first; with band=maybe the faces that I am asked about."""
    membership = member(caller(), query["event_id"])
    person = enrolment.own_person(membership)
    if query["band"] == "maybe":
        rows, headers = _questions(person, query)
        return _list(answers.QuestionAnswer, rows, headers)
    cards = gallery.my_photos(person, limit=query["limit"] + 1, after=time_cursor(query["cursor"]))
    return _list(answers.PhotoAnswer, *_page(membership.event, cards, query["limit"]))


@blueprint.get("/all-photos")
@blueprint.arguments(schemas.PageQuery, location="query")
@blueprint.response(200, answers.PhotoAnswer(many=True), headers=LINK)
@blueprint.errors(not_found=404, cursor_invalid=422)
def all_photos(query: dict[str, Any]) -> Any:
    """The photos that the photographer shows to every guest of the event."""
    membership = member(caller(), query["event_id"])
    after = time_cursor(query["cursor"])
    admitted = membership.is_admitted or membership.runs_event
    cards = gallery.shown_to_all(membership.event, limit=query["limit"] + 1, after=after) if admitted else []
    rows, headers = _page(membership.event, cards, query["limit"])
    return rows, 200, headers


@blueprint.post("/matches/<match_id>")
@blueprint.arguments(schemas.VerdictBody)
@blueprint.response(200, answers.MatchAnswer)
@blueprint.errors(match_unknown=404)
def give_verdict(body: dict[str, Any], match_id: str) -> dict[str, Any]:
    """Say whether a face is mine; the word is kept for ever."""
    with unit_of_work():
        match: Match = matching.give_verdict(caller(), match_id, body["verdict"])
        return {
            "id": match.public_id,
            "verdict": match.verdict,
            "band": match.band,
            "similarity": round(match.similarity, 4),
        }


@blueprint.delete("/my-selfie")
@blueprint.arguments(schemas.EventQuery, location="query")
@blueprint.response(200, answers.Receipt)
@blueprint.errors(not_found=404)
def delete_selfie(query: dict[str, Any]) -> dict[str, str]:
    """Erase my selfies in this event, their vectors and my matches."""
    user = caller()
    membership = member(user, query["event_id"])
    with unit_of_work():
        return {"receipt": selfie_erasure.erase_with_receipt(enrolment.own_person(membership), user)}


def _list(schema: type[answers.Answer], rows: list[dict[str, Any]], headers: dict[str, str]) -> Response:
    response = jsonify(schema(many=True).dump(rows))
    response.headers.update(headers)
    return response


def _page(event: Event, cards: list[PhotoCard], limit: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of a page, and the header that leads on."""
    shown, more = cards[:limit], len(cards) > limit
    rows = [_photo(event, card) for card in shown]
    return rows, next_link(shown[-1].sorted_at, shown[-1].row_id) if more else {}


def _photo(event: Event, card: PhotoCard) -> dict[str, Any]:
    return {
        "id": card.public_id,
        "match_id": card.match_id,
        "event_id": event.public_id,
        "url": url_for("api_media.photo", photo_id=card.public_id),
        "thumbnail_url": url_for("api_media.photo", photo_id=card.public_id, size="thumbnail"),
        "taken_at": card.taken_at,
        "similarity": round(card.similarity, 4) if card.similarity is not None else None,
        "band": card.band,
    }


def _questions(person: Person, query: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of a page of faces, and the header that leads on."""
    limit = query["limit"]
    asked = gallery.questions(person, limit=limit + 1, after=row_cursor(query["cursor"]) or 0)
    rows = [
        {
            "id": question.match_id,
            "match_id": question.match_id,
            "crop_url": url_for("media.crop", match_id=question.match_id),
            "similarity": round(question.similarity, 4),
        }
        for question in asked[:limit]
    ]
    return rows, next_link(asked[limit - 1].row_id) if len(asked) > limit else {}
