"""Compresses pages, fragments and JSON while they are sent; built files are compressed once (static/build.mjs).

The length of a compressed answer tells how much of it repeats. An attacker who sees lengths on the line, and can put
words of their own into the answers, finds out what else is in them, letter by letter (BREACH). Two things prevent that,
which docs/decisions/0016-compressed-pages.md explains: an answer to a request with a cookie is compressed only where no
other site can have asked for it, and a CSRF token has another signature in each second.
"""

from flask import Flask, Response, request
from flask_compress import Compress

from webapp.settings import Settings

WORTH_IT = [
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/problem+json",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/xml",
]
_ALGORITHMS = ["br", "gzip"]
_OUR_OWN = {"same-origin", "none"}
"""What browsers say in Sec-Fetch-Site of requests by our pages, and by people: an address, a bookmark, a QR code."""

_compress = Compress()


def init_app(app: Flask, settings: Settings) -> None:
    """Compress answers. Call it before others add hooks that change answers: hooks run in reverse order."""
    app.config.from_mapping(
        COMPRESS_REGISTER=False,
        COMPRESS_MIMETYPES=WORTH_IT,
        COMPRESS_ALGORITHM=_ALGORITHMS,
        # Of a page of 22 KB 5 makes 5.4 KB in 0.5 ms, the library's 4 5.9 KB in 0.4 ms, and 7 is no smaller than 5.
        COMPRESS_BR_LEVEL=5,
        COMPRESS_STREAMS=False,
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
    )
    _compress.init_app(app)
    https = settings.public_url.startswith("https://")

    def compress(response: Response) -> Response:
        if response.mimetype not in WORTH_IT:
            return response
        response.vary.add("Accept-Encoding")
        if not _is_wanted() or not _is_safe(https=https):
            return response
        return _compress.after_request(response)

    app.after_request(compress)


def _is_wanted() -> bool:
    """Whether the client takes one of our algorithms; `br;q=0` says that it does not."""
    return any(request.accept_encodings.quality(name) > 0 for name in _ALGORITHMS)


def _is_safe(*, https: bool) -> bool:
    """Whether the answer's length gives nothing away.

    Without https anyone on the line reads the answer itself, and without a cookie nothing in it is personal.
    Browsers that are too old for Sec-Fetch-Site (Safari before 16.4) get their pages as they are.
    """
    return not https or not request.cookies or request.headers.get("Sec-Fetch-Site") in _OUR_OWN
