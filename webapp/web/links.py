"""Absolute addresses, as they stand in QR codes and mails."""

from flask import current_app, has_request_context, request
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import Event, User
from webapp.settings import Settings


def absolute(path: str) -> str:
    """A path of ours under PUBLIC_URL; in development without one, under the address that was asked."""
    settings: Settings = current_app.extensions["settings"]
    asked = request.host_url.rstrip("/") if has_request_context() else f"http://localhost:{settings.port}"
    return f"{settings.public_url or asked}{path}"


def path_to(endpoint: str, **values: str) -> str:
    """The path of an endpoint, also outside a request, where Flask's url_for has no host to go by."""
    return current_app.url_map.bind("localhost").build(endpoint, values)


def cover_version(event: Event) -> str | None:
    """The part of the cover's address that changes with the picture; None where the event has none."""
    return event.cover_key.rpartition("/")[2].removesuffix(".jpg")[:8] if event.cover_key is not None else None


def absolute_cover(event: Event) -> str | None:
    """The absolute address of the event's cover, the same for each reader; None where the event has none."""
    version = cover_version(event)
    return absolute(path_to("sharing.cover", code=event.code, v=version)) if version is not None else None


def absolute_preview(event: Event) -> str | None:
    """The absolute address of the cover as apps show it beside a link; None where the event has none."""
    version = cover_version(event)
    return absolute(path_to("sharing.preview", code=event.code, v=version)) if version is not None else None


def back_url(event: Event, reader: User | None = None) -> str:
    """The event's page on which a guest asks for a fresh sign-in link, with one tap where the address names the
    `reader`; works as long as the event has this code.
    """
    named = {"to": str(_readers().dumps(reader.public_id))} if reader is not None else {}
    return absolute(path_to("coming_back.page", code=event.code, t=event.join_token, **named))


def back_reader(named: str) -> User | None:
    """The account that `back_url` named; None where the words are not ours, or it is gone."""
    try:
        public_id = _readers().loads(named)
    except BadSignature:
        return None
    return db.session.scalar(select(User).where(User.public_id == public_id))


def _readers() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="reader-of-a-mail")


def event_url(event: Event) -> str:
    """The event's page without the QR code's token: where links to it lead that anyone may see."""
    return absolute(path_to("guest.landing", code=event.code))


def join_url(event: Event) -> str:
    """Where an event's QR code leads: its page, with the token that lets guests through when others guess codes."""
    return absolute(path_to("guest.landing", code=event.code, t=event.join_token))


def landing_url(event: Event) -> str:
    """The event's page as its visitor opened it: with the QR code's token only if it came with one."""
    token = request.args.get("t")
    return absolute(path_to("guest.landing", code=event.code, **({"t": token} if token else {})))
