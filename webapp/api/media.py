"""Pictures through the API."""

import marshmallow as ma
from flask import Response

from webapp.api import schemas
from webapp.api.common import Blueprint, caller
from webapp.errors import NotFound
from webapp.models import RenditionKind
from webapp.services.rules import visibility
from webapp.web.access.permissions import Who
from webapp.web.media import send_photo

blueprint = Blueprint("api_media", __name__, url_prefix="/api", description="Pictures")

WHO = {"photo": Who.SIGNED_IN}

_BYTES = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in ("image/jpeg", "image/png", "image/webp", "image/avif", "image/heif")
}
_PICTURES = {
    "200": {"description": "the picture", "content": _BYTES},
    "206": {"description": "the part of it that was asked for", "content": _BYTES},
    "302": {"description": "the store's own address of the picture, good for some minutes"},
    "304": {"description": "it has not changed"},
}
_CONDITIONS = [
    {"in": "header", "name": name, "required": False, "schema": {"type": "string"}, "description": about}
    for name, about in (("If-None-Match", "the ETag that you have"), ("Range", "bytes=0-1023"))
]


class SizeQuery(schemas.Closed):
    """Which rendition is wanted. `web` is a JPEG with the event's watermark; guests get it in place of the original
    where the event has one.
    """

    size = schemas.Text(load_default="preview", validate=ma.validate.OneOf(["original", "preview", "thumbnail", "web"]))


@blueprint.get("/photo/<photo_id>")
@blueprint.arguments(SizeQuery, location="query")
@blueprint.doc(responses=_PICTURES, parameters=_CONDITIONS)
@blueprint.errors(range_invalid=416)
def photo(query: dict[str, str], photo_id: str) -> Response:
    """The picture, to those who may see it; with ETag and Range, cached privately."""
    found = visibility.visible_photo(caller(), photo_id)
    if found is None:
        raise NotFound()
    return send_photo(caller(), found, RenditionKind(query["size"]))
