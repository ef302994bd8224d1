"""Language and time zone of a request."""

from flask import g, has_request_context, request, session

from webapp.services.events import events

LANGUAGES = events.LANGUAGES
GUESTS_PAGES = ("guest.", "guest_")
"""Prefixes of the endpoints that speak to guests in their event's language."""


def choose_language() -> str:
    """The language that was chosen by hand; on a guest's page the event's; else the browser's best.

    English without a request.
    """
    if not has_request_context():
        return "en"
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    return _events_own() or request.accept_languages.best_match(LANGUAGES) or "en"


def _events_own() -> str | None:
    """In which the event that this page is about meets its guests; None where it leaves that to their browsers."""
    if not (request.endpoint or "").startswith(GUESTS_PAGES):
        return None
    if "event_language" not in g:
        arguments = request.view_args or {}
        # Only a member's page has an event here; `webapp.web.access.event_codes` sets the language where a code was
        # right. An error speaks the browser's language, or it would tell whether there is an event of this code.
        event = arguments.get("event")
        if event is None:
            return None
        g.event_language = event.language
    return str(g.event_language) or None


def choose_timezone() -> str:
    """The zone of the event that the page is about."""
    return str(g.get("timezone", "UTC")) if has_request_context() else "UTC"
