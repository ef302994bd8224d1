"""What comes in with a request and need not be well-formed: its query, and addresses in its fields and headers."""

from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask import Flask

from webapp.web.requests.bodies import BoundedRequest


class Request(BoundedRequest):
    """A request whose forms are bounded, and whose query can be read whatever bytes it was made of.

    Werkzeug replaces bytes that are no UTF-8 in a path, in forms and where they are percent-encoded; at those that
    stand in a query as they are, `args`, `full_path` and `url` would fail.
    """

    query_string: bytes

    def __init__(self, environ: Any, populate_request: bool = True, shallow: bool = False) -> None:
        super().__init__(environ, populate_request, shallow)
        self.query_string = self.query_string.decode(errors="replace").encode()


def init_app(app: Flask) -> None:
    """Make all requests such. Comes after htmx-flask, which sets a class of its own."""
    app.request_class = Request


def split_address(address: str) -> SplitResult:
    """The parts of an address that somebody sent. One that can't be read, such as `http://[`, has empty parts."""
    try:
        return urlsplit(address)
    except ValueError:
        return SplitResult("", "", "", "", "")
