"""Pictures through the API."""

import marshmallow as ma
from flask import Response

from webapp.api import schemas
from webapp.api.common import Blueprint, caller
from webapp.errors import NotFound
from webapp.media import send_rendition
from webapp.models import RenditionKind
from webapp.permissions import Who
from webapp.services import visibility

blueprint = Blueprint("api_media", __name__, url_prefix="/api", description="Pictures")

WHO = {"photo": Who.SIGNED_IN}


class SizeQuery(schemas.Closed):
    """Which rendition is wanted."""

    size = schemas.Text(load_default="preview", validate=ma.validate.OneOf([kind.value for kind in RenditionKind]))


@blueprint.get("/photo/<photo_id>")
@blueprint.arguments(SizeQuery, location="query")
@blueprint.response(200, content_type="image/*")
def photo(query: dict[str, str], photo_id: str) -> Response:
    """The picture, to those who may see it; with ETag and Range, cached privately."""
    found = visibility.visible_photo(caller(), photo_id)
    if found is None:
        raise NotFound()
    return send_rendition(found, RenditionKind(query["size"]))
