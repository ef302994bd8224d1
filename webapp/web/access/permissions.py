"""Who may call what: one table, and the one hook that enforces it.

An endpoint without a row is refused, so nothing is open by having been forgotten. Rows that name an event load it in
scope: a view of such an endpoint takes `event` and `membership` instead of the code or id in its address, and what is
not the caller's is a 404.
"""

from collections.abc import Callable
from enum import StrEnum
from urllib.parse import urlsplit

from flask import Flask, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp.db.extensions import csrf, db
from webapp.errors import FindMeError, Forbidden, NotFound, Unauthenticated
from webapp.models import Event, User
from webapp.services.events import team
from webapp.services.joining import enrolment
from webapp.services.uploads import upload_tokens
from webapp.settings import Settings
from webapp.web.access.sessions import bearer_token, by_bearer, signed_in
from webapp.web.requests.bodies import FORM_FILES, MOST_JSON, OTHER_FIELDS
from webapp.web.requests.error_handlers import TELLS
from webapp.web.requests.incoming import split_address

MEGABYTE = 1024 * 1024


class Who(StrEnum):
    """Who may call an endpoint."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    MEMBER = "member of the event"
    RUNNER = "owner or team of the event"
    UPLOADER = "owner or team of the event, or a token that may upload to it"
    UPLOAD_TOKEN = "token that may upload to one event"  # noqa: S105 - a name, not a secret
    PHOTOGRAPHER = "photographer"
    STUDIO = "photographer, or owner or team of any event"
    ADMIN = "admin"
    ADMIN_OF_EVENT = "admin, for any event"


PERMISSIONS: dict[str, Who] = {
    "static": Who.ANYONE,
}
"""Endpoint → who. Blueprints add their rows where they are registered; a test walks url_map."""

BODY_LIMITS: dict[str, int] = {}
"""Endpoint → bytes that it may be sent; everything else takes 2 MB."""

ADMISSIONS: dict[str, Callable[[], ResponseReturnValue | None]] = {}
"""Endpoint → what is asked before the first byte of its body is read. An answer from it is the request's answer."""

WITHOUT_TOKEN: set[str] = set()
"""Endpoints of pages that are not ours and carry no CSRF token: their writes have to come from our own address."""

PROVEN_BY_ADDRESS: set[str] = set()
"""Endpoints that take a write without a CSRF token, from any site: one-click POSTs of mail programs (RFC 8058), which
have neither cookie nor page. The signed token in the address is the proof, and names all that the write changes; the
session has no part in it, so a forged request could do nothing that its sender, who knows the token, could not do."""

DEFAULT_BODY = 2 * MEGABYTE
SELFIE_BODY = 64 * MEGABYTE
"""Far more than a selfie may weigh, so that one that is too heavy is answered with a sentence beside the form."""

PHOTOS_BODY = 1024 * MEGABYTE

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data"})


def init_app(app: Flask) -> None:
    """Put the hook in front of every request."""
    app.before_request(_authorise)


def _authorise() -> ResponseReturnValue | None:
    if request.endpoint is None:
        return None
    request.max_content_length = _body_limit(request.endpoint)
    if request.endpoint in FORM_FILES:
        request.max_form_parts = FORM_FILES[request.endpoint] + OTHER_FIELDS
    who = PERMISSIONS.get(request.endpoint)
    if who is None:
        raise NotFound(code="not_found")
    if who is not Who.ANYONE:
        token = bearer_token(request)
        if token is not None and upload_tokens.is_one(token):
            _check_upload_token(who, token)
        else:
            user = signed_in()
            if who is Who.MEMBER and _is_gallery():
                return _check_gallery(user)
            if user is None:
                raise Unauthenticated(code="sign_in_required")
            _check(who, user)
    if request.method not in _READING:
        # The body has not been read yet, and over a weak network it takes its time: no transaction waits for it.
        db.session.rollback()
    admit = ADMISSIONS.get(request.endpoint)
    if admit is not None and (refusal := admit()) is not None:
        return refusal
    _check_type()
    # This may read the body, to look for the token in a form.
    _check_csrf()
    return None


def _body_limit(endpoint: str) -> int:
    """How many bytes a body may have; parsed JSON takes many times its size in memory."""
    limit = BODY_LIMITS.get(endpoint, DEFAULT_BODY)
    return min(limit, MOST_JSON) if request.is_json else limit


def _check(who: Who, user: User) -> None:
    if (
        (who is Who.PHOTOGRAPHER and not user.is_photographer)
        or (who is Who.STUDIO and not team.may_enter_studio(user))
        or (who in (Who.ADMIN, Who.ADMIN_OF_EVENT) and not user.is_admin)
    ):
        raise NotFound(code="not_found")
    if who is Who.UPLOAD_TOKEN:
        raise Forbidden(code="upload_token_needed")
    if who in (Who.MEMBER, Who.RUNNER, Who.UPLOADER, Who.ADMIN_OF_EVENT):
        _load_event(who, user)


def _is_gallery() -> bool:
    """Return True for pages of an event's gallery, which have the event's code in their address."""
    return request.method in _READING and "code" in (request.view_args or {})


def _check_gallery(user: User | None) -> ResponseReturnValue | None:
    """Send everyone but members to the event's landing page, whether or not there is an event of this code.

    The landing page says so, and limits wrong codes.
    """
    code = (request.view_args or {})["code"]
    try:
        if user is None:
            raise NotFound(code="not_found")
        _check(Who.MEMBER, user)
    except NotFound:
        db.session.rollback()
        landing = url_for("guest.landing", code=code)
        if "HX-Request" in request.headers:
            return "", 401, {"HX-Redirect": landing}
        return redirect(landing, 303)
    return None


def _check_upload_token(who: Who, token: str) -> None:
    """Such a token opens what is meant for it, in its own event; to everything else it is no way to sign in."""
    if who not in (Who.UPLOADER, Who.UPLOAD_TOKEN):
        raise Unauthenticated(code="sign_in_required")
    found = upload_tokens.authenticate(token)
    if found is None:
        raise Unauthenticated(code="upload_token_invalid")
    row, membership = found
    arguments = request.view_args or {}
    if who is Who.UPLOADER:
        event = _event_of(arguments)
        if event.id != row.event_id:
            raise NotFound(code="not_found")
        arguments |= {"event": event, "membership": membership}
    else:
        arguments |= {"token": row, "event": membership.event}
    if not upload_tokens.is_use_noted(row):
        upload_tokens.note_use(row.id)
    request.view_args = arguments


def _load_event(who: Who, user: User) -> None:
    """Replace the address's code or id by the event itself and the caller's place in it."""
    arguments = request.view_args or {}
    if "code" in arguments:
        # One query for both, and one answer: a member's address never tells whether there is an event of this code.
        membership = enrolment.membership_by_code(arguments.pop("code"), user)
        if membership is None:
            raise NotFound(code="not_found")
        event = membership.event
    else:
        event = _event_of(arguments)
        membership = enrolment.membership_of(event, user)
    if who is Who.ADMIN_OF_EVENT:
        arguments["event"] = event
    elif membership is None or (who in (Who.RUNNER, Who.UPLOADER) and not membership.runs_event):
        raise NotFound(code="not_found")
    else:
        arguments |= {"event": event, "membership": membership}
    request.view_args = arguments


def _event_of(arguments: dict[str, str]) -> Event:
    event = db.session.scalar(select(Event).where(Event.public_id == arguments.pop("event_id")))
    if event is None:
        raise NotFound(code="not_found")
    return event


def _check_type() -> None:
    """Pages take forms. Flask-WTF would take JSON for a form as well, and fail at whatever is no object of texts."""
    page = not request.path.startswith("/api/") and request.endpoint not in TELLS
    if page and request.method not in _READING and request.mimetype not in _FORMS:
        raise FindMeError(code="form_expected")


def _check_csrf() -> None:
    """Every write that a browser may have been tricked into: all but those that carry no cookie's identity."""
    if request.method in _READING or by_bearer():
        return
    if request.path.startswith("/api/") and signed_in() is None:
        return
    if request.endpoint in PROVEN_BY_ADDRESS:
        return
    if request.endpoint in WITHOUT_TOKEN:
        _check_origin()
    else:
        # A part without a name is called None; Flask-WTF fails at it when it looks for the token.
        if None in request.form:
            raise FindMeError(code="bad_request")
        csrf.protect()


def _check_origin() -> None:
    """Browsers say truthfully which site a write comes from."""
    settings: Settings = current_app.extensions["settings"]
    ours = {request.host, urlsplit(settings.public_url).netloc}
    if split_address(request.headers.get("Origin", "")).netloc not in ours - {""}:
        raise FindMeError(code="csrf")
