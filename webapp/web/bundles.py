"""What browsers get of static/: the files that static/build.mjs made, under names that change with their content.

Templates ask for them by plain names (`guest.css`), and the build's manifest says which file that is. A name never
stands for other content, so a browser keeps each file for a year without asking again.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from flask import Flask, Response, current_app, request, url_for
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from whitenoise import WhiteNoise

from webapp.errors import ConfigurationError, NotFound
from webapp.settings import ROOT, Settings
from webapp.web import kept_bundles

BUILT = ROOT / "static" / "built"
FOR_EVER = "public, max-age=31536000, immutable"
_NAME = re.compile(r"[\w.-]{1,120}")


@dataclass(frozen=True)
class Manifest:
    """What a build made: plain name → file, all files that pages need, directly or by another one, the script that
    pages have inline, with its hash for the policy, and the service worker's script.
    """

    files: dict[str, str]
    all: list[str]
    early_script: str
    early_hash: str
    worker: str


class Bundles:
    """The manifest of a folder that the build wrote; `watched` reads it again when it has changed."""

    def __init__(self, folder: Path, *, watched: bool) -> None:
        self.folder = folder
        self._path = folder / "manifest.json"
        self._watched = watched
        self._seen = 0
        self._manifest = self._read()

    @property
    def manifest(self) -> Manifest:
        """The present one."""
        if self._watched and self._path.stat().st_mtime_ns != self._seen:
            self._manifest = self._read()
        return self._manifest

    def _read(self) -> Manifest:
        try:
            self._seen = self._path.stat().st_mtime_ns
            said: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            early = said["early"]
            return Manifest(said["files"], said["all"], early["script"], early["hash"], said["worker"])
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(
                f"The pages' scripts and styles are not built ({self._path} can't be read). Run `make install`."
            ) from error


class _Files(WhiteNoise):
    """The built files, each kept by browsers for a year."""

    def add_cache_headers(self, headers: Headers, path: str, url: str) -> None:  # noqa: ARG002 - the library calls it so
        headers["Cache-Control"] = FOR_EVER

    def serve(self, static_file: Any, environ: dict[str, Any], start_response: Any) -> Any:
        """Without the encodings that the client does not want (`br;q=0`), which the library takes for wanted ones.

        The app is asked where a later build has removed the file under this process (`_earlier`).
        """
        said = parse_accept_header(environ.get("HTTP_ACCEPT_ENCODING"), Accept)
        wanted = ", ".join(name for name, quality in said if quality > 0)
        try:
            return WhiteNoise.serve(static_file, environ | {"HTTP_ACCEPT_ENCODING": wanted}, start_response)
        except FileNotFoundError:
            return self.application(environ, start_response)


def init_app(app: Flask, settings: Settings) -> None:
    """Serve the built files before the app is asked, and what earlier deployments made by the app.

    Raises:
        ConfigurationError: nothing has been built.
    """
    watched = settings.environment == "development"
    bundles = Bundles(BUILT, watched=watched)
    app.extensions["bundles"] = bundles
    app.wsgi_app = _Files(  # type: ignore[method-assign]
        app.wsgi_app,
        root=str(bundles.folder / "files"),
        prefix="static/",
        autorefresh=watched,
        allow_all_origins=False,
        add_headers_function=_headers(https=settings.public_url.startswith("https://")),
    )
    app.add_url_rule("/static/<path:filename>", endpoint="static", view_func=_earlier)


def _headers(*, https: bool) -> Any:
    """What `webapp.web.access.security` adds to answers of the app, as far as it concerns files."""
    fixed = {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    if https:
        fixed["Strict-Transport-Security"] = "max-age=31556926"

    def add(headers: Headers, _path: str, _url: str) -> None:
        for name, value in fixed.items():
            headers[name] = value

    return add


def _earlier(filename: str) -> Response:
    """A file that this process did not find at its start: of a deployment before or after it.

    Raises:
        NotFound: no deployment of the last day had it.
    """
    file = kept_bundles.find(filename) if _NAME.fullmatch(filename) else None
    if file is None:
        raise NotFound(code="not_found")
    takes_gzip = request.accept_encodings.quality("gzip") > 0
    response = Response(file.compressed if takes_gzip else file.content, mimetype=file.mimetype)
    if takes_gzip:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = FOR_EVER
    return response


def keep(app: Flask) -> None:
    """Let other deployments find the files of this one, as long as this process lives and for a day after it."""
    made: Bundles = app.extensions["bundles"]
    kept_bundles.keep_for_ever(app, made.folder / "files", made.manifest.all)


def bundles() -> Bundles:
    """The present app's."""
    found: Bundles = current_app.extensions["bundles"]
    return found


def asset(name: str) -> str:
    """The address of a built file by its plain name, such as `guest.css`.

    Raises:
        KeyError: the build made no such file.
    """
    return url_for("static", filename=bundles().manifest.files[name])
