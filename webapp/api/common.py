"""What the API's rooms share: who calls, which event is meant, cursors and links."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from flask import request, url_for
from sqlalchemy import select

from webapp.errors import Invalid, NotFound, Unauthenticated
from webapp.extensions import db
from webapp.localisation import choose_language
from webapp.models import Event, Membership, User
from webapp.sessions import signed_in


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
    wanted = select(Membership).where(Membership.user_id == user.id).order_by(Membership.id.desc()).limit(1)
    if event_id is not None:
        wanted = wanted.join(Event).where(Event.public_id == event_id)
    membership = db.session.scalar(wanted)
    if membership is None:
        raise NotFound(code="not_found")
    return membership


def language() -> str:
    """The language of the answer."""
    return choose_language()


def event_summary(event: Event) -> dict[str, Any]:
    """An event as lists show it."""
    return {"id": event.public_id, "name": event.name, "date": event.date}


def read_cursor(cursor: str | None) -> list[Any] | None:
    """What a cursor of ours says.

    Raises:
        Invalid: it is none of ours.
    """
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise Invalid(code="cursor_invalid", fields={"cursor": "cursor_invalid"}) from error
    if not isinstance(parts, list) or not all(isinstance(part, int | str) for part in parts):
        raise Invalid(code="cursor_invalid", fields={"cursor": "cursor_invalid"})
    return parts


def time_cursor(cursor: str | None) -> tuple[datetime, int] | None:
    """A cursor of a list in the order of time."""
    parts = read_cursor(cursor)
    if parts is None:
        return None
    try:
        return datetime.fromisoformat(str(parts[0])), int(parts[1])
    except (ValueError, IndexError) as error:
        raise Invalid(code="cursor_invalid", fields={"cursor": "cursor_invalid"}) from error


def row_cursor(cursor: str | None) -> int | None:
    """A cursor of a list in the order of rows."""
    parts = read_cursor(cursor)
    if parts is None:
        return None
    if not parts or not isinstance(parts[0], int):
        raise Invalid(code="cursor_invalid", fields={"cursor": "cursor_invalid"})
    return parts[0]


def next_link(*parts: Any) -> dict[str, str]:
    """The header that names the following page."""
    cursor = base64.urlsafe_b64encode(json.dumps([str(p) if isinstance(p, datetime) else p for p in parts]).encode())
    arguments = {**(request.view_args or {}), **request.args.to_dict(), "cursor": cursor.decode()}
    arguments = {key: value for key, value in arguments.items() if isinstance(value, str)}
    return {"Link": f'<{url_for(str(request.endpoint), **arguments)}>; rel="next"'}
