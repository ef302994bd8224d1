"""Idempotency keys of requests: the header of API clients, and the field of forms.

A form's key is made with the form and kept in the browser's signed session as well, so that a reload shows the same
one, and none but this browser can use it. It changes once the browser has seen the answer.
"""

import hashlib
import hmac
import secrets
from dataclasses import replace

from flask import current_app, request, session

from webapp.errors import Invalid
from webapp.models import Event, User
from webapp.services.accounts import accounts
from webapp.services.core.idempotency import Key
from webapp.web.access.hidden import hidden

HEADER = "Idempotency-Key"
SHORTEST, LONGEST = 16, 200
"""Characters of a client's key; shorter ones would be used twice by chance."""

PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": SHORTEST, "maxLength": LONGEST},
    "description": "Random, such as a UUID, the same with each try of a request: it is done once within a day, "
    "and each try gets the same answer.",
}
"""For the OpenAPI document."""

_SESSION = "form_keys"
_MOST_KEPT = 4


def of_header(operation: str, caller: User | None, *fields: object) -> Key | None:
    """Return the key of an API client's request; None where it sent none. `fields` tell this request from others.

    Raises:
        Invalid: the key is too short, too long or not printable.
    """
    sent = request.headers.get(HEADER)
    if sent is None:
        return None
    if not SHORTEST <= len(sent) <= LONGEST or not sent.isascii() or not sent.isprintable():
        raise Invalid(code="idempotency_key_invalid")
    return _key(operation, caller.public_id if caller is not None else "", sent, *fields)


def of_form(operation: str, event: Event, sent: str | None, who: str = "") -> Key | None:
    """Return the key of a form that came from this browser; None where its field holds none that was made for it.

    `who` is the name that was typed: on a tablet that goes round, another name is another guest.
    """
    kept = _kept(operation, event)
    if kept is None or not hmac.compare_digest(kept.encode(), (sent or "").encode()):
        return None
    return _of_kept(operation, event, kept, who)


def of_browser(operation: str, event: Event, who: str = "") -> Key | None:
    """Return the key of the form that this browser was shown last; None where it was shown none."""
    kept = _kept(operation, event)
    return _of_kept(operation, event, kept, who) if kept is not None else None


def field_value(operation: str, event: Event) -> str:
    """Return what the form's field holds; made if there is none yet."""
    kept = _kept(operation, event)
    if kept is None:
        kept = secrets.token_urlsafe(16)
        others = [(name, value) for name, value in session.get(_SESSION, {}).items() if name != _name(operation, event)]
        session[_SESSION] = dict([*others, (_name(operation, event), kept)][-_MOST_KEPT:])
    return kept


def renew(operation: str, event: Event) -> None:
    """Forget the form's key: it was used, and what is sent from now on is something else."""
    kept = dict(session.get(_SESSION, {}))
    if kept.pop(_name(operation, event), None) is not None:
        session[_SESSION] = kept


def _kept(operation: str, event: Event) -> str | None:
    kept = session.get(_SESSION, {}).get(_name(operation, event))
    return kept if isinstance(kept, str) else None


def _name(operation: str, event: Event) -> str:
    return f"{operation}:{event.public_id}"


def _of_kept(operation: str, event: Event, kept: str, who: str) -> Key:
    """Return the key of a form; its fingerprint does not depend on the name, so that a browser finds what it sent."""
    named = _key(operation, event.public_id, f"{kept} {accounts.username_key(who)}")
    return replace(named, fingerprint=hidden("form", f"{operation}:{event.public_id}:{kept}"))


def _key(operation: str, caller: str, sent: str, *fields: object) -> Key:
    secret = str(current_app.config["SECRET_KEY"]).encode()
    name = "\n".join((operation, caller, sent))
    return Key(
        key_hash=hmac.new(secret, f"idempotency:{name}".encode(), hashlib.sha256).hexdigest(),
        fingerprint=hidden("idempotent request", repr(fields)),
        session_token=hmac.new(secret, f"idempotent session:{name}".encode(), hashlib.sha256).hexdigest(),
    )
