"""What the API's rooms share: who calls, which event is meant, cursors and links."""

import base64
import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import flask_smorest
from flask import request
from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import CombinedMultiDict

from webapp.api.documenting import OWN_ERRORS
from webapp.db.columns import is_row_id
from webapp.db.extensions import db
from webapp.errors import FindMeError, Invalid, NotFound, Unauthenticated, UnsupportedType
from webapp.models import Event, Membership, User
from webapp.services.upkeep.usage import Costs
from webapp.web.access.sessions import signed_in
from webapp.web.localisation import choose_language


class _Parser(FlaskParser):
    __location_map__ = FlaskParser.__location_map__ | {"multipart": "load_multipart"}

    def load_json(self, req: Any, schema: Any) -> Any:
        """webargs', for JSON that is well-formed and can't be read all the same: too deep, or a number without end."""
        if _has_body(req) and not req.is_json:
            raise UnsupportedType(code="json_expected")
        try:
            return super().load_json(req, schema)
        except (ValueError, RecursionError) as error:
            raise FindMeError(code="bad_request") from error

    def load_multipart(self, req: Any, schema: Any) -> Any:
        """The fields and files of a form together: one schema says what is in it, and all faults are told at once."""
        if _has_body(req) and req.mimetype not in _FORMS:
            raise UnsupportedType(code="form_expected")
        return self._makeproxy(CombinedMultiDict([req.files, req.form]), schema)


SELFIE_ERRORS = {
    "selfie_too_large": 413,
    "too_many_pixels": 413,
    "not_a_picture": 415,
    "heic": 415,
    "empty": 415,
    "truncated": 415,
}
"""What a selfie is refused for at once: code → status."""

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


def _has_body(req: Any) -> bool:
    return bool(req.content_length) or "chunked" in req.headers.get("Transfer-Encoding", "")


class Blueprint(flask_smorest.Blueprint):
    """One room of the API."""

    ARGUMENTS_PARSER = _Parser()
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING = MappingProxyType(
        {"json": "application/json", "multipart": "multipart/form-data"}
    )

    def errors(self, **codes: int | tuple[int, ...]) -> Any:
        """Document the errors that are this view's own: code → status, or all that it comes with.

        What every view of its kind can answer follows from its row in the table of permissions and from what it takes;
        see `webapp.api.documenting`.
        """
        pairs = [
            (code, status)
            for code, statuses in codes.items()
            for status in (statuses if isinstance(statuses, tuple) else (statuses,))
        ]
        return self.doc(**{OWN_ERRORS: pairs})


def caller() -> User:
    """Who calls. The permission table let nobody else through; this is for the types."""
    user = signed_in()
    if user is None:
        raise Unauthenticated(code="sign_in_required")
    return user


def member(user: User, event_id: str | None) -> Membership:
    """The caller's place in the event that is meant: the named one, else the one they joined last.

    Raises:
        NotFound: they are in no such event.
    """
    # Nearly every call goes on to the event and to the member's own person, which come in the same question.
    wanted = (
        select(Membership)
        .join(Membership.event)
        .options(contains_eager(Membership.event), joinedload(Membership.persons))
        .where(Membership.user_id == user.id)
        .order_by(Membership.id.desc())
        .limit(1)
    )
    if event_id is not None:
        wanted = wanted.where(Event.public_id == event_id)
    membership = db.session.execute(wanted).unique().scalar_one_or_none()
    if membership is None:
        raise NotFound(code="not_found")
    return membership


def language() -> str:
    """The language of the answer."""
    return choose_language()


def event_summary(event: Event) -> dict[str, Any]:
    """An event as lists show it."""
    return {"id": event.public_id, "name": event.name, "date": event.date}


def event_costs_answer(event_key: str, event: Event | None, found: Costs) -> dict[str, Any]:
    """What an event has cost; of one that was deleted only its id is left."""
    return {
        "event_id": event_key,
        "name": event.name if event else None,
        "engine": event.engine if event else None,
        "calls": found.calls,
        "total": found.total,
        "dollars": found.dollars,
        "limit": found.limit,
        "own_limit": event.call_limit if event else None,
        "left": found.left,
        "reached": found.reached,
    }


def time_cursor(cursor: str | None) -> tuple[datetime, int] | None:
    """A cursor of a list in the order of time.

    Raises:
        Invalid: it is none of ours.
    """
    if cursor is None:
        return None
    try:
        moment, row_id = _read_cursor(cursor)
        moment = datetime.fromisoformat(moment)
        if moment.tzinfo is None or not is_row_id(row_id):
            raise ValueError(cursor)
        return moment.astimezone(UTC), row_id
    except (ValueError, TypeError, OverflowError) as error:
        raise _not_ours() from error


def row_cursor(cursor: str | None) -> int | None:
    """A cursor of a list in the order of rows.

    Raises:
        Invalid: it is none of ours.
    """
    if cursor is None:
        return None
    try:
        (row_id,) = _read_cursor(cursor)
    except (ValueError, TypeError) as error:
        raise _not_ours() from error
    if not is_row_id(row_id):
        raise _not_ours()
    return int(row_id)


def _read_cursor(cursor: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except RecursionError as error:
        raise ValueError(cursor) from error


def _not_ours() -> Invalid:
    return Invalid(code="cursor_invalid", fields={"cursor": "cursor_invalid"})


LINK = {"Link": {"description": '`<…>; rel="next"`, while there are more rows', "schema": {"type": "string"}}}


def next_link(*parts: Any) -> dict[str, str]:
    """The header that names the following page, documented by LINK."""
    cursor = base64.urlsafe_b64encode(json.dumps([str(p) if isinstance(p, datetime) else p for p in parts]).encode())
    query = urlencode({**request.args.to_dict(), "cursor": cursor.decode()})
    return {"Link": f'<{request.root_path}{request.path}?{query}>; rel="next"'}
