"""What a guest's client does: hand in a selfie, follow the search, read photos, say yes or not me."""

from typing import Any

from flask import url_for

from webapp.api import schemas
from webapp.api.common import Blueprint, caller, language, member, next_link, row_cursor, time_cursor
from webapp.errors import Conflict
from webapp.models import Event, Match, Membership
from webapp.permissions import SELFIE_BODY, Who
from webapp.queueing import unit_of_work
from webapp.reasons import sentence
from webapp.services import enrolment, gallery, matching, selfies
from webapp.services.gallery import PhotoCard

blueprint = Blueprint("api_guests", __name__, url_prefix="/api", description="Selfies and photos of a guest")

WHO = dict.fromkeys(
    ("upload_selfie", "rematch_status", "my_photos", "all_photos", "give_verdict", "delete_selfie"), Who.SIGNED_IN
)
BODIES = {"upload_selfie": SELFIE_BODY}


@blueprint.post("/upload-selfie")
@blueprint.arguments(schemas.SelfieForm, location="form")
@blueprint.arguments(schemas.SelfieFile, location="files")
@blueprint.response(200, schemas.SelfieAnswer)
def upload_selfie(form: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """Take a selfie in at once; the one before and its matches live on until this one is accepted."""
    membership = member(caller(), form["event_id"])
    person_agrees = enrolment.active_consent(enrolment.own_person(membership)) is not None
    if not (form["consent"] or person_agrees):
        raise Conflict(code="consent_required", fields={"consent": "consent_required"})
    with selfies.staged(membership.event, files["file"].stream) as picture, unit_of_work():
        person = enrolment.own_person(membership)
        if form["consent"]:
            enrolment.grant_consent(person, enrolment.CONSENT_VERSION, language=language())
        return {"status": selfies.receive_selfie(person, picture, form["angle"], adds=form["add"]).status}


@blueprint.get("/rematch-status")
@blueprint.arguments(schemas.EventQuery, location="query")
@blueprint.response(200, schemas.StatusAnswer)
def rematch_status(query: dict[str, Any]) -> dict[str, Any]:
    """How the search goes, counted from rows."""
    membership = member(caller(), query["event_id"])
    progress = gallery.progress_of(membership, enrolment.own_person(membership))
    reason = progress.reason if progress.status in ("rejected", "failed") else None
    return {
        "status": progress.status,
        "reason": reason,
        "detail": sentence(reason) if reason else None,
        "photos_total": progress.photos_total,
        "photos_indexed": progress.photos_indexed,
        "matches": progress.found,
    }


@blueprint.get("/my-photos")
@blueprint.arguments(schemas.PhotoQuery, location="query")
@blueprint.response(200, schemas.PhotoAnswer(many=True))
def my_photos(query: dict[str, Any]) -> Any:
    """My photos, newest first; with band=maybe the faces that I am asked about."""
    membership = member(caller(), query["event_id"])
    person = enrolment.own_person(membership)
    if query["band"] == "maybe":
        return _questions(membership, query)
    cards = gallery.my_photos(person, limit=query["limit"] + 1, after=time_cursor(query["cursor"]))
    return _page(membership.event, cards, query["limit"])


@blueprint.get("/all-photos")
@blueprint.arguments(schemas.PageQuery, location="query")
@blueprint.response(200, schemas.PhotoAnswer(many=True))
def all_photos(query: dict[str, Any]) -> Any:
    """The photos that the photographer shows to every guest of the event."""
    membership = member(caller(), query["event_id"])
    cards = gallery.shown_to_all(membership.event, limit=query["limit"] + 1, after=time_cursor(query["cursor"]))
    return _page(membership.event, cards, query["limit"])


@blueprint.post("/matches/<match_id>")
@blueprint.arguments(schemas.VerdictBody)
@blueprint.response(200, schemas.MatchAnswer)
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
@blueprint.response(200, schemas.Receipt)
def delete_selfie(query: dict[str, Any]) -> dict[str, str]:
    """Erase my selfies in this event, their vectors and my matches."""
    user = caller()
    membership = member(user, query["event_id"])
    with unit_of_work():
        return {"receipt": selfies.erase_with_receipt(enrolment.own_person(membership), user)}


def _page(event: Event, cards: list[PhotoCard], limit: int) -> Any:
    shown, more = cards[:limit], len(cards) > limit
    answer = [_photo(event, card) for card in shown]
    return (answer, 200, next_link(shown[-1].sorted_at, shown[-1].row_id)) if more else answer


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


def _questions(membership: Membership, query: dict[str, Any]) -> Any:
    limit = query["limit"]
    after = row_cursor(query["cursor"])
    asked = gallery.questions(enrolment.own_person(membership), limit=limit + 1, after=after or 0)
    answer = [
        {
            "id": question.match_id,
            "match_id": question.match_id,
            "crop_url": url_for("media.crop", match_id=question.match_id),
            "similarity": round(question.similarity, 4),
        }
        for question in asked[:limit]
    ]
    return (answer, 200, next_link(asked[limit - 1].row_id)) if len(asked) > limit else answer
