"""Language and time zone of a request."""

from flask import g, has_request_context, request, session

LANGUAGES = ("en", "fr")


def choose_language() -> str:
    """The language that was chosen by hand, else the browser's best; English without a request."""
    if not has_request_context():
        return "en"
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    return request.accept_languages.best_match(LANGUAGES) or "en"


def choose_timezone() -> str:
    """The zone of the event that the page is about."""
    return str(g.get("timezone", "UTC")) if has_request_context() else "UTC"
