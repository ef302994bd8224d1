"""Sending blobs to those who may see them: with an entity tag, ranges, and only into the browser's own cache.

Where the store signs addresses, the browser is sent there: it fetches the bytes, also ranges of them, from the store.
"""

import io
from http import HTTPStatus
from typing import cast

from flask import Response, current_app, redirect, request, send_file
from werkzeug.wsgi import wrap_file

from webapp.models import Photo, RenditionKind, User
from webapp.services.core import blobs
from webapp.services.photos import renditions, watermarks

MAX_AGE = 3600
"""Seconds for which a browser shows a picture without asking whether it still may.

A grid has hundreds of pictures, and phones on an event's network would fetch them again on each visit. Only the
browser's own cache may keep them, and it is cleared when its user signs out (`webapp.web.access.sessions.sign_out`).
"""

PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The content policy of pictures: opened as a page, a file that claims to be one can't run or load anything.

The styles are those of the browser's own viewer, which puts them inline around a picture.
"""

ENDINGS = {
    "image/jpeg": ("jpg", "jpeg", "jpe"),
    "image/png": ("png",),
    "image/webp": ("webp",),
    "image/avif": ("avif",),
    "image/heif": ("heic", "heif", "hif"),
}
"""The endings of a file's name that fit its type; the first is given to files that have none."""

_ALL_ENDINGS = {ending for endings in ENDINGS.values() for ending in endings}


def send_photo(user: User, photo: Photo, kind: RenditionKind, *, download: bool = False) -> Response:
    """One picture of a photo that the user may see; in place of an original that they may not have, the web size.

    Raises:
        NotFound: it is not made yet.
        Transient: the store is away.
    """
    if kind is RenditionKind.ORIGINAL and not watermarks.may_have_original(user, photo):
        kind = RenditionKind.WEB
    # Read now: what makes pictures ends the transaction.
    filename = photo.filename
    if kind is RenditionKind.WEB:
        found = watermarks.web_size(photo)
    else:
        found = renditions.stored(photo, kind, webp=takes_webp(request.headers.get("Accept", "")))
    name = download_name(filename, found.content_type) if download else None
    response = send_blob(found.blob_key, found.content_type, download_name=name)
    if kind in renditions.JPEG_OF:
        response.vary.add("Accept")
    return response


def takes_webp(accept: str) -> bool:
    """Whether who sent this Accept header can show WebP.

    Old browsers name the formats that they know and add `image/*` or `*/*` all the same, so that only counts where no
    format is named.
    """
    named = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return "image/webp" in named or not any(kind.startswith("image/") and kind != "image/*" for kind in named)


def download_name(filename: str, content_type: str) -> str:
    """The name under which a file is saved: as its photographer named it, printable, and with the ending of what it
    really is.
    """
    plain = "".join(letter for letter in filename if letter.isprintable()).replace("/", "_").replace("\\", "_")
    stem, _, ending = plain.rpartition(".")
    endings = ENDINGS.get(content_type, ("jpg",))
    if stem and ending.lower() in endings:
        return plain
    known = stem and ending.lower() in _ALL_ENDINGS
    return f"{(stem if known else plain).strip(' .') or 'photo'}.{endings[0]}"


def send_blob(key: str, content_type: str, *, download_name: str | None = None, max_age: int = MAX_AGE) -> Response:
    """A blob, or the way to it. The content type is ours, never the uploader's.

    max_age: seconds for which the browser may show it without asking again; with 0 it always asks. Downloads are not
    cached at all: they are in the user's own folder already.

    Raises:
        NotFound: it is not there; where the store signs addresses, it is the store who says so.
    """
    # An address is signed for GET alone, so a HEAD is answered here.
    if request.method != "HEAD":
        address = blobs.store().url(key, content_type=content_type, download_name=download_name)
        if address is not None:
            # Half of the address' life, so that a browser never follows one too old.
            half = current_app.extensions["settings"].s3_url_seconds // 2
            return _cached(cast("Response", redirect(address, 302)), min(max_age, half), download_name)
    return _stream(key, content_type, download_name, max_age)


def as_picture(response: Response) -> Response:
    """Restrict a response that is a picture, and nothing else, to being shown."""
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _cached(response: Response, max_age: int, download_name: str | None) -> Response:
    """Let the browser's own cache keep the response, for `max_age` seconds without asking again."""
    if download_name is not None:
        response.headers["Cache-Control"] = "no-store"
    elif max_age:
        response.headers["Cache-Control"] = f"private, max-age={max_age}"
    else:
        response.headers["Cache-Control"] = "private, no-cache"
    return response


def _stream(key: str, content_type: str, download_name: str | None, max_age: int) -> Response:
    store = blobs.store()
    info = store.info(key)
    file = io.BytesIO() if request.method == "HEAD" else store.open(key)
    response = send_file(
        file,
        mimetype=content_type,
        etag=info.etag,
        conditional=False,
        as_attachment=download_name is not None,
        download_name=download_name,
    )
    response.content_length = info.size
    _cached(as_picture(response), max_age, download_name)
    response.make_conditional(request, accept_ranges=True, complete_length=info.size)
    if response.status_code == HTTPStatus.PARTIAL_CONTENT and "wsgi.file_wrapper" in request.environ:
        # Werkzeug would read the part in a thread, as slowly as its client takes it. The server sends it as it sends a
        # whole file: from where the file stands, and Content-Length bytes of it.
        file.seek(response.content_range.start or 0)
        response.response = wrap_file(request.environ, file)
    return response
