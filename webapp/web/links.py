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


def join_url(event: Event) -> str:
    """Where an event's QR code leads: its page, with the token that lets guests through when others guess codes."""
    return absolute(path_to("guest.landing", code=event.code, t=event.join_token))


def landing_url(event: Event) -> str:
    """The event's page as its visitor opened it: with the QR code's token only if it came with one."""
    token = request.args.get("t")
    return absolute(path_to("guest.landing", code=event.code, **({"t": token} if token else {})))
