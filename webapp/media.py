"""Sending blobs to those who may see them: with an entity tag, ranges, and only into the browser's own cache.

Where the store signs addresses, the browser is sent there: it fetches the bytes, also ranges of them, from the store.
"""

import io
from typing import cast

from flask import Response, current_app, redirect, request, send_file

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
    """A blob, or the way to it. The content type is ours, never the uploader's.

    Raises:
        NotFound: it is not there; where the store signs addresses, it is the store who says so.
    """
    # An address is signed for GET alone, so a HEAD is answered here.
    if request.method != "HEAD":
        address = blobs.store().url(key, content_type=content_type, download_name=download_name)
        if address is not None:
            return _send_away(address)
    return _stream(key, content_type, download_name)


def _send_away(address: str) -> Response:
    """A redirect that a browser may remember for half of the address' life, so that it never follows one too old."""
    response = cast("Response", redirect(address, 302))
    response.cache_control.private = True
    response.cache_control.max_age = current_app.extensions["settings"].s3_url_seconds // 2
    return response


def _stream(key: str, content_type: str, download_name: str | None) -> Response:
    store = blobs.store()
    info = store.info(key)
    response = send_file(
        io.BytesIO() if request.method == "HEAD" else store.open(key),
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
