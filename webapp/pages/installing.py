"""What browsers keep of the product: how it looks among apps and bookmarks, and what is shown without a connection."""

import hashlib

from flask import Blueprint, Response, current_app, render_template, request, send_from_directory
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, get_locale, gettext

from webapp.web.access.permissions import Who
from webapp.web.bundles import asset, bundles
from webapp.web.localisation import LANGUAGES

blueprint = Blueprint("installing", __name__)

WHO = dict.fromkeys(("manifest", "favicon", "worker"), Who.ANYONE)

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


@blueprint.get("/worker.js")
def worker() -> Response:
    """The service worker of all pages, with the page that it shows without a connection; each language has its own."""
    page = _offline_page()
    # Another page makes another script, by which browsers know that there is something to fetch.
    name = f"offline-{hashlib.sha256(page.encode()).hexdigest()[:16]}"
    kept = current_app.json.dumps({"name": name, "page": page, "files": [asset("offline.css"), asset("offline.js")]})
    response = Response(f"self.KEPT={kept};\n{bundles().manifest.worker}", mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    return response


def _offline_page() -> str:
    with force_locale(_language()):
        return render_template("offline/page.html", language=_language())


def _language() -> str:
    """The language in the address, by which browsers keep the page; else the visitor's."""
    wanted = request.args.get("language", "")
    locale = get_locale()
    return wanted if wanted in LANGUAGES else (locale.language if locale else "en")


def _icon(name: str, sizes: str, *, kind: str = "image/png", purpose: str = "any") -> dict[str, str]:
    return {"src": asset(name), "sizes": sizes, "type": kind, "purpose": purpose}
