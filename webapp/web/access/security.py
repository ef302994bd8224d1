"""Headers that limit what browsers do with our responses: run, embed, pass on, and keep.

Each response gets the strictest value of a header that its view has not set itself.
"""

from flask import Flask, Response, request

from webapp.db.extensions import talisman
from webapp.settings import Settings
from webapp.storage.blobs import BlobStore
from webapp.web.access.event_codes import TOKEN
from webapp.web.bundles import bundles

POLICY: dict[str, str | list[str]] = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": ["'self'"],
    "img-src": ["'self'", "data:", "blob:"],
    "media-src": ["'self'", "blob:"],
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}

QUEUE_PAGES = "/admin/queues"
_QUEUE_BLUEPRINT = "rq_dashboard"
_QUEUE_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Bind flask-talisman; https is demanded exactly where PUBLIC_URL says so."""
    settings: Settings = app.extensions["settings"]
    https = settings.public_url.startswith("https://")
    policy = _policy(app.extensions["blobs"])
    # Flask calls these hooks in reverse order: ours runs after talisman's, and after all that set Cache-Control.
    app.after_request(lambda response: _complete(response, policy))
    talisman.init_app(
        app,
        force_https=False,
        strict_transport_security=https,
        # Other names below ours may belong to others, and not speak https.
        strict_transport_security_include_subdomains=False,
        session_cookie_secure=https,
        session_cookie_samesite="Lax",
        # talisman would overwrite the policies of views; `_complete` sets this header.
        content_security_policy=None,
        frame_options="DENY",
        referrer_policy="same-origin",
        permissions_policy={"camera": "(self)", "geolocation": "()", "microphone": "()"},
    )


def _policy(store: BlobStore) -> dict[str, str | list[str]]:
    """POLICY, and the one place outside where pictures come from and uploads go to. A redirect there is checked too."""
    if store.origin is None:
        return POLICY
    return POLICY | {name: [*POLICY[name], store.origin] for name in ("connect-src", "img-src")}


def _as_header(policy: dict[str, str | list[str]]) -> str:
    parts = {name: sources if isinstance(sources, str) else " ".join(sources) for name, sources in policy.items()}
    return "; ".join(f"{name} {sources}" for name, sources in parts.items())


def _with_early_script(policy: dict[str, str | list[str]]) -> str:
    """The policy of our own pages: of inline scripts it allows the one that they have, by its hash."""
    return _as_header(policy | {"script-src": ["'self'", f"'{bundles().manifest.early_hash}'"]})


def _complete(response: Response, policy: dict[str, str | list[str]]) -> Response:
    """Set the headers that the view left to us."""
    headers = response.headers
    # Pages, fragments, JSON, redirects and errors depend on the session, or set it: no cache may keep them, neither the
    # browser's, which would show them by its Back button after sign-out, nor a proxy's.
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault(
        "Content-Security-Policy", _QUEUE_POLICY if _is_queue_page(response) else _with_early_script(policy)
    )
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if _address_is_secret():
        headers["Referrer-Policy"] = "no-referrer"
    return response


def _is_queue_page(response: Response) -> bool:
    """Return True for rq-dashboard's own pages, which have inline scripts and styles. Refusals are pages of ours."""
    return request.blueprint == _QUEUE_BLUEPRINT and response.status_code < 400


def _address_is_secret() -> bool:
    """Return True where the address alone lets its reader in: sign-in links, invitations, join links."""
    return TOKEN in request.args or "token" in (request.url_rule.arguments if request.url_rule else ())
