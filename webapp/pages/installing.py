"""What browsers ask for to show the product among apps and bookmarks: the web app manifest and the favicon."""

from flask import Blueprint, Response, current_app, send_from_directory
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext

from webapp.web.access.permissions import Who
from webapp.web.bundles import asset, bundles

blueprint = Blueprint("installing", __name__)

WHO = {"manifest": Who.ANYONE, "favicon": Who.ANYONE}

PAPER = "#fbfaf7"
"""The pages' ground, as in base.html and static/css/parts/tokens.css."""

HOUR = 3600
DAY = 24 * HOUR


@blueprint.get("/manifest.webmanifest")
def manifest() -> Response:
    """What a phone needs to put the product on its home screen, in the visitor's language."""
    locale = get_locale()
    said = current_app.json.dumps(
        {
            "id": "/",
            "name": gettext("FindMe"),
            "short_name": gettext("FindMe"),
            "description": gettext("Find the photos of an event that you are in, with a selfie."),
            "lang": locale.language if locale else "en",
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "background_color": PAPER,
            "theme_color": PAPER,
            "icons": [
                _icon("icon-192.png", "192x192"),
                _icon("icon-512.png", "512x512"),
                _icon("icon-maskable-512.png", "512x512", purpose="maskable"),
                _icon("mark.svg", "any", kind="image/svg+xml"),
            ],
        }
    )
    response = Response(said, mimetype="application/manifest+json")
    # Each visitor's own: it speaks the language that they chose.
    response.headers["Cache-Control"] = f"private, max-age={HOUR}"
    response.vary.add("Accept-Language")
    return response


@blueprint.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """The mark for browsers that ask for it without having read a page."""
    built = bundles()
    response = send_from_directory(
        built.folder / "files", built.manifest.files["favicon.ico"], mimetype="image/x-icon", max_age=DAY
    )
    response.headers["Cache-Control"] = f"public, max-age={DAY}"
    return response


def _icon(name: str, sizes: str, *, kind: str = "image/png", purpose: str = "any") -> dict[str, str]:
    return {"src": asset(name), "sizes": sizes, "type": kind, "purpose": purpose}
