"""Where errors become answers: JSON for the API, what programs expect for programs, pages for people."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, g, jsonify, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from gunicorn.http.errors import ParseException
from htmx_flask import request
from sqlalchemy.exc import DataError, SQLAlchemyError
from sqlalchemy.orm.exc import ObjectDeletedError
from werkzeug.exceptions import BadRequest, HTTPException

from webapp.db.database import is_passing
from webapp.db.extensions import db
from webapp.errors import (
    Conflict,
    FindMeError,
    Invalid,
    MissingRights,
    NotFound,
    TooLarge,
    TooMany,
    Transient,
    Unauthenticated,
)
from webapp.reasons import explain, field_sentences
from webapp.services.core import alarms
from webapp.web.requests.bodies import FORM_FILES
from webapp.web.requests.incoming import split_address

log = structlog.get_logger()

_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_type",
    416: "range_invalid",
    422: "invalid",
    429: "too_many_requests",
}

TELLS: dict[str, Callable[[FindMeError], ResponseReturnValue]] = {}
"""Endpoints outside of the API whose callers are programs, and how each of them is told of an error, whatever it is."""


def init_app(app: Flask) -> None:
    """Map every error, our own, Flask's and the unexpected, to an answer."""
    app.register_error_handler(FindMeError, answer)
    app.register_error_handler(
        CSRFError, lambda _: answer(FindMeError(code="csrf" if request.cookies else "cookies_refused"))
    )
    app.register_error_handler(HTTPException, _http)
    # A chunked body is parsed while it is read: what is wrong with it comes up here.
    app.register_error_handler(ParseException, lambda _: _http(BadRequest()))
    app.register_error_handler(DataError, _not_storable)
    app.register_error_handler(ObjectDeletedError, _gone)
    app.register_error_handler(SQLAlchemyError, _database)
    app.register_error_handler(Exception, _unexpected)


def _csrf(_: CSRFError) -> ResponseReturnValue:
    """A form without its token: of a page that is too old, or of a browser that keeps no cookies."""
    return answer(FindMeError(code="csrf" if request.cookies else "cookies_refused"))


def is_api() -> bool:
    """Whether the present request is one of the API's."""
    return bool(request.path.startswith("/api/"))


def answer(error: FindMeError) -> ResponseReturnValue:
    """The answer to one of our own errors."""
    after_error(error)
    if is_api():
        payload: dict[str, Any] = {"detail": explain(error), "code": error.code, "fields": field_sentences(error)}
        return jsonify(payload), error.status
    if tell := TELLS.get(request.endpoint or ""):
        return tell(error)
    if isinstance(error, Unauthenticated) and request.endpoint is not None:
        return _to_sign_in()
    try:
        return _page(error), error.status
    except SQLAlchemyError as fault:  # the page's frame asks who is signed in
        return _for_nobody(Transient() if is_passing(fault) else error)


def after_error(error: FindMeError) -> None:
    """What an error leaves to be done, whoever answers it: nothing of the request stays, and ops are told."""
    with suppress(SQLAlchemyError):  # with the connection gone, so is what there was to roll back
        db.session.rollback()
    if isinstance(error, TooMany):
        g.retry_after = error.seconds
    if isinstance(error, MissingRights):
        alarms.raise_alarm(error.code, error.detail)


def _page(error: FindMeError) -> str:
    title = HTTPStatus(error.status).phrase
    return render_template("errors/page.html", error=error, sentence=explain(error), status=error.status, title=title)


def _to_sign_in() -> ResponseReturnValue:
    """People who have to sign in first come back to where they wanted to go, if that was a page."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    if request.htmx:
        # A fragment is no place to come back to: the page that asked for it is.
        wanted = split_address(request.htmx.current_url or "").path or None
    target = url_for("auth.sign_in", next=wanted) if wanted else url_for("auth.sign_in")
    if request.htmx:
        return "", 401, {"HX-Redirect": target}
    return redirect(target, 303)


def _http(error: HTTPException) -> ResponseReturnValue:
    """Flask's and werkzeug's own errors, in our words."""
    if error.code is not None and error.code < 400:
        return error.get_response()
    ours: FindMeError
    if error.code == 404:
        ours = NotFound()
    elif error.code == 413:
        ours = TooLarge(code="form_too_large" if request.endpoint in FORM_FILES else None)
    elif error.code == 429:
        ours = TooMany()
    elif error.code == 422:
        ours = Invalid(fields=_webargs_fields(error))
    else:
        ours = FindMeError(code=_CODES.get(error.code or 500, "error"))
    ours.status = error.code or 500
    response = make_response(answer(ours))
    # Which methods there are, and how long the picture is, stays said.
    response.headers.extend([header for header in error.get_headers() if header[0] in ("Allow", "Content-Range")])
    return response


def _webargs_fields(error: HTTPException) -> dict[str, str]:
    """Which fields a schema refused, from webargs' {"json": {"field": [messages], "group": {"field": [messages]}}}."""
    messages = getattr(error, "data", {}).get("messages", {})
    return dict(fault for place in messages.values() if isinstance(place, dict) for fault in _faults(place))


def _faults(place: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field, found in place.items():
        if isinstance(found, dict):
            yield from _faults(found)
        else:
            missing = any("Missing data" in str(message) for message in found)
            yield str(field), "field_missing" if missing else "field_invalid"


def _not_storable(error: DataError) -> ResponseReturnValue:
    """A value that the database can't take, such as a NUL in a text: nobody's form sends one."""
    log.warning("request.not_storable", endpoint=request.endpoint, error=type(error.orig).__name__)
    return answer(Invalid())


def _gone(_: ObjectDeletedError) -> ResponseReturnValue:
    """What the request was about was deleted while it ran, as when two accounts are put together."""
    return answer(Conflict())


def _database(error: SQLAlchemyError) -> ResponseReturnValue:
    """A database that is away or too busy for now; all else that it refuses is our mistake."""
    if not is_passing(error):
        return _unexpected(error)
    cause = getattr(error, "orig", None) or error
    log.error("request.database_away", endpoint=request.endpoint, error=type(cause).__name__)
    return _for_nobody(Transient())


def _for_nobody(error: FindMeError) -> ResponseReturnValue:
    """Answer without asking the database who is signed in, or which language the event speaks."""
    g._login_user = AnonymousUserMixin()  # noqa: SLF001 - where flask-login keeps whom it has found
    g.event_language = ""
    return answer(error)


def _unexpected(error: Exception) -> ResponseReturnValue:
    log.error("request.crashed", endpoint=request.endpoint, error=type(error).__name__, exc_info=error)
    ours = FindMeError(code="internal")
    ours.status = 500
    return answer(ours)
