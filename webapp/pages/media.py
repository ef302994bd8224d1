"""Pictures, only to those who may see them."""

from flask import Blueprint, Response, make_response, request

from webapp.errors import NotFound
from webapp.models import RenditionKind
from webapp.pages.common import me
from webapp.queueing import MATCH_SELFIE, try_enqueue
from webapp.services.core import blobs
from webapp.services.queries import event_overview, gallery
from webapp.services.rules import visibility
from webapp.web.access.permissions import Who
from webapp.web.media import as_picture, send_blob, send_photo

blueprint = Blueprint("media", __name__)

WHO = dict.fromkeys(("photo", "download", "crop", "selfie"), Who.SIGNED_IN)
SIZES = {
    kind.value: kind
    for kind in (RenditionKind.ORIGINAL, RenditionKind.PREVIEW, RenditionKind.THUMBNAIL, RenditionKind.WEB)
}
DOWNLOADS = (RenditionKind.ORIGINAL, RenditionKind.WEB)


@blueprint.get("/media/photos/<photo_id>/<size>")
def photo(photo_id: str, size: str) -> Response:
    """A rendition of a photo, or its original; `?download=1` saves it under its own name."""
    found = visibility.visible_photo(me(), photo_id)
    if found is None or size not in SIZES:
        raise NotFound(code="not_found")
    return send_photo(me(), found, SIZES[size], download="download" in request.args)


@blueprint.get("/photos/<photo_id>/download")
def download(photo_id: str) -> Response:
    """A photo to keep: `?size=web`, or `original`, which guests get as web size where it has to carry a watermark."""
    found = visibility.visible_photo(me(), photo_id)
    size = request.args.get("size", RenditionKind.ORIGINAL.value)
    if found is None or size not in DOWNLOADS:
        raise NotFound(code="not_found")
    return send_photo(me(), found, RenditionKind(size), download=True)


@blueprint.get("/media/crops/<match_id>")
def crop(match_id: str) -> Response:
    """The face that somebody is asked about, and nothing else of its photo."""
    response = as_picture(make_response(gallery.crop_of(me(), match_id)))
    response.content_type = "image/jpeg"
    response.cache_control.private = True
    response.cache_control.max_age = 600
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/media/selfies/<selfie_id>")
def selfie(selfie_id: str) -> Response:
    """A selfie, to the one whom it shows and to who runs the event; the small rendition once a worker has made it.

    Nobody but its owner gets the file itself: phones write into it where it was taken, which may be at home. Browsers
    ask each time: a selfie that was erased is not shown again from anyone's cache.
    """
    found = event_overview.visible_selfie(me(), selfie_id)
    if found is None or found.pictures_erased_at is not None:
        raise NotFound(code="not_found")
    preview = blobs.selfie_preview_key(found.blob_key)
    if blobs.exists(preview):
        return send_blob(preview, "image/jpeg", max_age=0)
    if found.person.membership.user_id != me().id:
        try_enqueue(MATCH_SELFIE, found.public_id)
        raise NotFound(code="not_found")
    return send_blob(found.blob_key, found.content_type, max_age=0)
