"""Sending blobs to those who may see them: with an entity tag, ranges, and only into the browser's own cache."""

from flask import Response, request, send_file

from webapp.errors import NotFound
from webapp.models import Photo, RenditionKind
from webapp.services import blobs

MAX_AGE = 3600
"""Seconds for which a browser shows a picture without asking whether it still may."""


def send_rendition(photo: Photo, kind: RenditionKind, *, download: bool = False) -> Response:
    """One rendition of a photo.

    Raises:
        NotFound: it is not made yet.
    """
    for rendition in photo.renditions:
        if rendition.kind is kind:
            name = photo.filename if download else None
            return send_blob(rendition.blob_key, rendition.content_type, download_name=name)
    raise NotFound()


def send_blob(key: str, content_type: str, *, download_name: str | None = None) -> Response:
    """Stream a blob. The content type is ours, never the uploader's.

    Raises:
        NotFound: it is not there.
    """
    store = blobs.store()
    info = store.info(key)
    response = send_file(
        store.open(key),
        mimetype=content_type,
        etag=info.etag,
        conditional=False,
        as_attachment=download_name is not None,
        download_name=download_name,
    )
    response.content_length = info.size
    response.cache_control.private = True
    response.cache_control.public = False
    response.cache_control.no_cache = None
    response.cache_control.max_age = MAX_AGE
    response.headers["X-Content-Type-Options"] = "nosniff"
    # A picture is nothing but a picture, whatever a file claims to be.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(request, accept_ranges=True, complete_length=info.size)
    return response
