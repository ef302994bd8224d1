"""Headers that keep browsers from doing what nobody asked for."""

from flask import Flask, Response, request

from webapp.extensions import talisman
from webapp.settings import Settings
from webapp.storage.blobs import BlobStore

POLICY: dict[str, str | list[str]] = {
    "default-src": "'self'",
    "connect-src": ["'self'"],
    "img-src": ["'self'", "data:", "blob:"],
    "media-src": ["'self'", "blob:"],
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}

QUEUE_PAGES = "/admin/queues"
_QUEUE_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Bind flask-talisman; https is demanded exactly where PUBLIC_URL says so."""
    settings: Settings = app.extensions["settings"]
    https = settings.public_url.startswith("https://")
    app.after_request(_relax_queue_pages)
    talisman.init_app(
        app,
        force_https=False,
        strict_transport_security=https,
        session_cookie_secure=https,
        session_cookie_samesite="Lax",
        content_security_policy=_policy(app.extensions["blobs"]),
        frame_options="DENY",
        referrer_policy="same-origin",
        permissions_policy={"camera": "(self)", "geolocation": "()", "microphone": "()"},
    )


def _policy(store: BlobStore) -> dict[str, str | list[str]]:
    """POLICY, and the one place outside where pictures come from and uploads go to. A redirect there is checked too."""
    if store.origin is None:
        return POLICY
    return POLICY | {name: [*POLICY[name], store.origin] for name in ("connect-src", "img-src")}


def _relax_queue_pages(response: Response) -> Response:
    """rq-dashboard brings inline scripts and styles; only admins reach it, and only its own pages are let off."""
    if request.path.startswith(QUEUE_PAGES):
        response.headers["Content-Security-Policy"] = _QUEUE_POLICY
    return response
