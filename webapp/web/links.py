"""Absolute addresses, as they stand in QR codes and mails."""

from flask import current_app, has_request_context, request

from webapp.models import Event
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


def back_url(event: Event) -> str:
    """The event's page on which a guest asks for a fresh sign-in link; works as long as the event has this code."""
    return absolute(path_to("coming_back.page", code=event.code, t=event.join_token))


def join_url(event: Event) -> str:
    """Where an event's QR code leads: its page, with the token that lets guests through when others guess codes."""
    return absolute(path_to("guest.landing", code=event.code, t=event.join_token))
