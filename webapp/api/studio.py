"""What a photographer's client does."""

from typing import Any

from flask import Response, jsonify, request, url_for

from webapp.api import answers, schemas
from webapp.api.common import LINK, Blueprint, caller, event_costs_answer, event_summary, next_link, row_cursor
from webapp.errors import Invalid, TooLarge
from webapp.models import Event, Membership, Photo, PhotoStatus, UploadWay
from webapp.queueing import unit_of_work
from webapp.reasons import sentence
from webapp.services.events import events
from webapp.services.matching import matching
from webapp.services.queries import event_overview
from webapp.services.upkeep import usage
from webapp.services.uploads import intake
from webapp.web.access.permissions import PHOTOS_BODY, Who
from webapp.web.access.sessions import by_upload_token
from webapp.web.links import join_url
from webapp.web.requests.bodies import FORM_FILES, PHOTOS_IN_FORM

blueprint = Blueprint("api_studio", __name__, url_prefix="/api/photographer", description="Events and uploads")

WHO = {
    "list_events": Who.STUDIO,
    "create_event": Who.PHOTOGRAPHER,
    "set_many_children": Who.RUNNER,
    "upload_photos": Who.UPLOADER,
    "list_photos": Who.RUNNER,
    "rematch": Who.RUNNER,
    "event_costs": Who.RUNNER,
    "set_limit": Who.RUNNER,
}
BODIES = {"upload_photos": PHOTOS_BODY}
FORM_FILES["api_studio.upload_photos"] = PHOTOS_IN_FORM

_FILES = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files"],
                "properties": {
                    "files": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                },
            }
        }
    },
}
"""Documented by hand, since the view reads the files one by one and names each by itself."""


def _admit_photos() -> None:
    """Refuse a form before its first byte is read, if the disk has no room for it."""
    intake.require_room_for_form(request.content_length or 0)


ADMISSIONS = {"upload_photos": _admit_photos}


@blueprint.get("/events")
@blueprint.response(200, answers.StudioEvent(many=True))
def list_events() -> list[dict[str, Any]]:
    """The events that I run, the latest first."""
    return [_event(card.event) for card in events.cards_of(caller(), running=True)]


@blueprint.post("/events")
@blueprint.arguments(schemas.EventBody)
@blueprint.response(201, answers.StudioEvent)
@blueprint.errors(event_name_invalid=422)
def create_event(body: dict[str, Any]) -> dict[str, Any]:
    """A new event with a code that can't be guessed."""
    children = body.get("many_children", False)
    with unit_of_work():
        return _event(events.create_event(caller(), name=body["name"], date=body["date"], many_children=children))


@blueprint.put("/events/<event_id>/many-children")
@blueprint.arguments(schemas.ChildrenBody)
@blueprint.response(200, answers.ChildrenAnswer)
def set_many_children(body: dict[str, Any], event: Event, membership: Membership) -> dict[str, Any]:
    """Say whether there are many children. Another answer searches everybody again, in the background."""
    with unit_of_work():
        count = events.set_many_children(event, body["many_children"], membership.user)
        return _event(event) | {"selfies": count}


@blueprint.post("/events/<event_id>/upload-photos")
@blueprint.response(200, answers.UploadAnswer)
@blueprint.alt_response(207, schema=answers.UploadAnswer, success=True, description="some can't be used, see each row")
@blueprint.errors(event_closed=409, form_too_large=413, no_files=422, no_space=503)
@blueprint.doc(requestBody=_FILES)
def upload_photos(event: Event, membership: Membership) -> Response:
    """Take photos in, one row a file; 207 where some can't be used. More than 1,000 files are refused as a whole."""
    files = request.files.getlist("files")
    if not files:
        raise Invalid(code="no_files", fields={"files": "no_files"})
    if len(files) > PHOTOS_IN_FORM:
        raise TooLarge(code="form_too_large")
    user, way = membership.user, UploadWay.WATCH if by_upload_token() else UploadWay.API
    results = [intake.receive_photo(event, user, file.filename or "", file.stream, way=way) for file in files]
    rows = [
        {
            "filename": result.filename,
            "id": result.photo_id,
            "status": result.status,
            "reason": result.reason,
            "detail": sentence(result.reason) if result.reason else None,
        }
        for result in results
    ]
    response = jsonify({"files": rows})
    response.status_code = 207 if any(result.status == "rejected" for result in results) else 200
    return response


@blueprint.get("/events/<event_id>/photos")
@blueprint.arguments(schemas.StudioPhotoQuery, location="query")
@blueprint.response(200, answers.StudioPhoto(many=True), headers=LINK)
@blueprint.errors(cursor_invalid=422, status_invalid=422)
def list_photos(query: dict[str, Any], event: Event, **_: Membership) -> Any:
    """The event's photos with their status and, where they failed, why."""
    status, limit = query["status"], query["limit"]
    if status is not None and status not in [word.value for word in PhotoStatus]:
        raise Invalid(code="status_invalid", fields={"status": "status_invalid"})
    photos = event_overview.photos_of(
        event,
        status=PhotoStatus(status) if status else None,
        limit=limit + 1,
        before=row_cursor(query["cursor"]),
    )
    answer = [_photo(photo) for photo in photos[:limit]]
    return (answer, 200, next_link(photos[limit - 1].id)) if len(photos) > limit else answer


@blueprint.post("/events/<event_id>/rematch")
@blueprint.response(202, answers.RematchAnswer)
def rematch(event: Event, membership: Membership) -> dict[str, Any]:
    """Compute everybody's matches anew, in the background.

    A request joins a rematch that waits to begin; while one runs, it makes a new one, which takes the other's place.
    """
    with unit_of_work():
        return {"status": "queued", "selfies": matching.request_rematch(event, membership.user)}


@blueprint.get("/events/<event_id>/costs")
@blueprint.response(200, answers.EventCosts)
def event_costs(event: Event, **_: Membership) -> dict[str, Any]:
    """The event's billable calls, about how many dollars they are, and its limit."""
    return event_costs_answer(event.public_id, event, usage.of_event(event))


@blueprint.put("/events/<event_id>/call-limit")
@blueprint.arguments(schemas.LimitBody)
@blueprint.response(200, answers.LimitAnswer)
@blueprint.errors(forbidden=403, call_limit_invalid=422)
def set_limit(body: dict[str, Any], event: Event, membership: Membership) -> dict[str, Any]:
    """Change the event's limit; what an earlier one stopped goes on. For its owner."""
    with unit_of_work():
        resumed = usage.set_limit(event, body["limit"], membership.user)
        return event_costs_answer(event.public_id, event, usage.of_event(event)) | {"resumed": resumed}


def _event(event: Event) -> dict[str, Any]:
    return event_summary(event) | {
        "code": event.code,
        "join_url": join_url(event),
        "many_children": event.many_children,
    }


def _photo(photo: Photo) -> dict[str, Any]:
    ready = photo.status is PhotoStatus.INDEXED
    return {
        "id": photo.public_id,
        "filename": photo.filename,
        "status": photo.status,
        "reason": photo.failure_reason,
        "detail": sentence(photo.failure_reason) if photo.failure_reason else None,
        "faces": photo.faces_count,
        # There is nothing to show before the renditions are made.
        "url": url_for("api_media.photo", photo_id=photo.public_id) if ready else None,
        "thumbnail_url": url_for("api_media.photo", photo_id=photo.public_id, size="thumbnail") if ready else None,
        "taken_at": photo.taken_at,
    }
