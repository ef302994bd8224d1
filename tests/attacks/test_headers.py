"""The headers of every response that anyone gets on a messy event, by the kind of response that it is."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from tests.support import messy_event
from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser
from tests.support.built import address
from tests.support.tours import THIRD_PARTY, pages, tours
from webapp.models import UserRole
from webapp.settings import ROOT, Settings

EARLY = json.loads((ROOT / "static" / "built" / "manifest.json").read_text())["early"]
"""The one inline script of our pages, and its hash as the policy has it."""

PRIVATE = "no-store"
PICTURE = "private, max-age=3600"
DAY_LONG = "public, max-age=31536000"
FOR_EVER = "public, max-age=31536000, immutable"
ALWAYS_ASKED = "private, no-cache"

KEPT = {
    "media.photo": {PICTURE},
    "media.crop": {"private, max-age=600"},
    "media.selfie": {ALWAYS_ASKED},
    "api_media.photo": {PICTURE},
    "sharing.cover": {PICTURE},
    "sharing.preview": {PICTURE},
    "installing.manifest": {PICTURE},
    "installing.favicon": {"public, max-age=86400"},
    "installing.worker": {"no-cache"},
    "sharing.accent": {DAY_LONG},
    "static": {FOR_EVER},
    "rq_dashboard.static": {"no-cache"},
}
"""Endpoint → what its successful responses may say about caches. All others, and all errors, are never kept."""

PICTURES = (
    "media.photo",
    "media.download",
    "media.crop",
    "media.selfie",
    "api_media.photo",
    "sharing.cover",
    "sharing.preview",
    "sharing.qr",
)
EMBEDDED_ELSEWHERE = {"sharing.cover", "sharing.preview"}
BY_SECRET_ADDRESS = {"auth.link", "passwords.reset", "invitations.accept", "guest_mails.stop"}
STRICT = {
    "default-src": "'self'",
    "script-src": f"'self' '{EARLY['hash']}'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
SANDBOX = {"default-src": "'none'", "style-src": "'unsafe-inline'", "sandbox": ""}


@dataclass(frozen=True)
class Seen:
    """One response, and what it answered."""

    method: str
    endpoint: str
    query: str
    status: int
    headers: dict[str, str]
    page: str | None
    """The HTML, where it is HTML."""

    @property
    def is_picture(self) -> bool:
        return self.endpoint in PICTURES and (self.status < 300 or self.status == 304)

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint} → {self.status}"


@pytest.fixture
def seen(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """Every response that a client of the app gets from here on."""
    found: list[Seen] = []

    class Client(FlaskClient):
        def open(self, *args: Any, **kwargs: Any) -> TestResponse:
            answer = super().open(*args, **kwargs)
            answer.get_data()
            answer.close()
            found.append(_seen(app, answer))
            return answer

    monkeypatch.setattr(app, "test_client_class", Client)
    return found


def _seen(app: Flask, answer: TestResponse) -> Seen:
    asked = answer.request
    try:
        endpoint, _ = app.url_map.bind("localhost").match(asked.path, asked.method)
    except HTTPException:
        endpoint = "none"
    page = answer.text if answer.mimetype == "text/html" else None
    query = str(asked.query_string, "ascii") if isinstance(asked.query_string, bytes) else asked.query_string
    return Seen(asked.method, endpoint, query, answer.status_code, dict(answer.headers), page)


def policy(header: str) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in header.split(";")]
    return {name: sources for name, _, sources in parts}


# --- what each kind of response has to say ---


def faults(one: Seen) -> Iterator[str]:
    said = one.headers
    wanted = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "cross-origin" if _is_for_other_sites(one) else "same-origin",
        "Referrer-Policy": "no-referrer" if _has_secret_address(one) else "same-origin",
        "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    }
    for name, value in wanted.items():
        if said.get(name) != value:
            yield f"{one}: {name} is {said.get(name)!r}"
    if said.get("Cache-Control") not in _may_be_kept(one):
        yield f"{one}: Cache-Control is {said.get('Cache-Control')!r}"
    if "Set-Cookie" in said and not re.search("no-store|private", said.get("Cache-Control", "")):
        yield f"{one}: a cookie that shared caches would keep"
    if _is_page_of_queues(one):
        return
    if policy(said.get("Content-Security-Policy", "")) != (SANDBOX if one.is_picture else STRICT):
        yield f"{one}: Content-Security-Policy is {said.get('Content-Security-Policy')!r}"


def _may_be_kept(one: Seen) -> set[str]:
    if one.status < 300 or one.status == 304:
        return KEPT.get(one.endpoint, {PRIVATE}) | ({PRIVATE} if "download" in one.query else set())
    return {PRIVATE}


def _is_for_other_sites(one: Seen) -> bool:
    return one.endpoint in EMBEDDED_ELSEWHERE and one.status < 400


def _has_secret_address(one: Seen) -> bool:
    return one.endpoint in BY_SECRET_ADDRESS or bool(re.search(r"(^|&)t=", one.query))


def _is_page_of_queues(one: Seen) -> bool:
    return one.endpoint.startswith(THIRD_PARTY) and one.status < 400


class _Inline(HTMLParser):
    """What in a page the content policy would refuse to run or apply."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script: str | None = None

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self._script is not None and data != EARLY["script"]:
            self.found.append(self._script)
        self._script = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        bad = [name for name in values if name == "style" or name.startswith(("on", "hx-on", "data-hx-on"))]
        bad += [name for name, value in values.items() if value.strip().lower().startswith(("javascript:", "js:"))]
        is_data = tag == "script" and values.get("type") == "application/json"
        if bad or tag == "style":
            self.found.append(self.get_starttag_text() or tag)
        elif tag == "script" and "src" not in values and not is_data:
            self._script = self.get_starttag_text() or tag


def inline(page: str) -> list[str]:
    parser = _Inline()
    parser.feed(page)
    return parser.found


def test_the_policy_names_the_inline_script_by_what_it_is() -> None:
    digest = hashlib.sha256(EARLY["script"].encode()).digest()
    assert EARLY["hash"] == f"sha256-{base64.b64encode(digest).decode()}"
    assert inline(f"<script>{EARLY['script']}</script>") == []
    assert inline(f"<script>{EARLY['script']} </script><script>x</script>") == ["<script>", "<script>"]


# --- everyone's tour ---


def test_every_response_says_what_its_kind_has_to(app: Flask, world: World, api: Api, seen: list[Seen]) -> None:
    messy = messy_event.build(app, world, api)
    tours(messy, "en")
    visited = {one.endpoint for one in seen}
    assert pages(app) - visited == set(), "nobody came to these pages"
    assert {"POST", "GET"} <= {one.method for one in seen}
    assert {200, 201, 303} <= {one.status for one in seen}
    wrong = [fault for one in seen for fault in faults(one)]
    wrong += [f"{one}: {tag}" for one in seen if one.page and not _is_page_of_queues(one) for tag in inline(one.page)]
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_refusals_say_it_too(app: Flask, world: World, api: Api, seen: list[Seen]) -> None:
    event_id = world.event()
    guest, nobody = api.register(world.code), Browser(app)
    ada = Browser(app).sign_in("ada@example.com", PASSWORD)
    owner = Browser(app).sign_in(messy_event.OWNER, PASSWORD)
    for method, path in every_call(app, event_id):
        for client in (nobody.client, ada.client, owner.client):
            client.open(path, method=method)
        app.test_client().open(path, method=method, headers={"Authorization": f"Bearer {guest.token}"})
    for path in ("/nothing", "/static/nothing.js", "/admin/queuesnone", "/api/nothing"):
        nobody.get(path)
        ada.get(path)
    nobody.client.put("/")
    assert {200, 303, 400, 401, 404, 405, 422} <= {one.status for one in seen}
    wrong = [fault for one in seen for fault in faults(one)]
    assert not wrong, "\n".join(sorted(set(wrong)))


def every_call(app: Flask, event_id: str) -> Iterator[tuple[str, str]]:
    """Yield each method and address that the app has, of an event that exists and of other things that don't."""
    for rule in app.url_map.iter_rules():
        values = {name: event_id if name == "event_id" else "none" for name in rule.arguments}
        path = re.sub(r"<(?:[^:<>]+:)?(\w+)>", lambda found: values[found[1]], rule.rule)  # noqa: B023 - used at once
        yield from ((method, path) for method in sorted((rule.methods or set()) - {"OPTIONS"}))


# --- files that people uploaded ---


def test_uploaded_files_and_what_is_made_of_them_can_only_be_shown(
    app: Flask, seen: list[Seen], world: World, api: Api
) -> None:
    messy = messy_event.build(app, world, api)
    guest, owner = messy.people["found"], messy.people["owner"]
    photo_id, selfie_id = _id_on(guest, "photos"), _id_on(guest, "selfies")
    ways = [f"/media/photos/{photo_id}/{size}" for size in ("original", "preview", "thumbnail", "web")]
    ways += [f"/media/photos/{photo_id}/original?download=1", f"/photos/{photo_id}/download?size=web"]
    ways += [f"/media/selfies/{selfie_id}", f"/api/photo/{photo_id}?size=original", f"/e/{world.code}/cover.jpg"]
    seen.clear()
    for way in ways:
        etag = guest.get(way).headers["ETag"]
        guest.get(way, headers={"Range": "bytes=0-9"})
        guest.get(way, headers={"If-None-Match": etag})
        guest.client.head(way)
    for kind in ("svg", "png"):
        owner.get(f"{messy.path}/qr.{kind}")
    assert {200, 206, 304} == {one.status for one in seen}
    assert [str(one) for one in seen if policy(one.headers["Content-Security-Policy"]) != SANDBOX] == []
    assert [fault for one in seen for fault in faults(one)] == []


def _id_on(guest: Browser, kind: str) -> str:
    """The public id of the first picture of a kind on a guest's page."""
    found = re.search(rf"/media/{kind}/([\w-]+)", guest.get("/e/PARTY234/photos").text)
    assert found
    return found[1]


# --- at sign-out, and on the way ---


def test_addresses_that_let_their_reader_in_are_told_to_no_one(app: Flask, world: World) -> None:
    secret = {rule.endpoint for rule in app.url_map.iter_rules() if "token" in rule.arguments}
    assert secret == BY_SECRET_ADDRESS
    world.event()
    browser = Browser(app)
    said = {path: browser.get(path).headers["Referrer-Policy"] for path in ("/", f"/e/{world.code}?t=whatever")}
    assert list(said.values()) == ["same-origin", "no-referrer"]


@pytest.mark.parametrize("path", ["/sign-out", "/api/logout"])
def test_signing_out_clears_the_browsers_cache_and_nothing_else(app: Flask, world: World, path: str) -> None:
    world.person("ada@example.com")
    browser = Browser(app).sign_in("ada@example.com", PASSWORD)
    assert "Clear-Site-Data" not in browser.get("/").headers
    answer = browser.client.post(path, headers={"X-CSRFToken": browser.token("/account")})
    assert answer.status_code in (204, 303)
    assert answer.headers["Clear-Site-Data"] == '"cache"'


def test_files_for_everyone_carry_no_ones_cookie(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    browser = Browser(app).sign_in("ada@example.com", PASSWORD)
    for path in (address("guest.js"), "/accents/1f5f8a.css", "/favicon.ico"):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers, path
        assert "Cookie" not in answer.vary, path
        answer.close()
    assert "Set-Cookie" in browser.get("/").headers  # pages renew it


def test_only_pages_of_the_queues_may_run_their_inline_scripts(app: Flask, world: World) -> None:
    world.person(messy_event.ADMIN, UserRole.ADMIN)
    admin = Browser(app).sign_in(messy_event.ADMIN, PASSWORD)
    loose = policy(admin.get("/admin/queues/").headers["Content-Security-Policy"])
    assert "'unsafe-inline'" in loose["script-src"]
    for name in ("object-src", "base-uri", "frame-ancestors"):
        assert loose[name] == "'none'"
    for name in ("default-src", "connect-src", "form-action"):
        assert loose[name] == "'self'"
    for path in ("/admin/", "/admin/queuesnone", "/admin/queues/nothing/here/at/all"):
        assert policy(admin.get(path).headers["Content-Security-Policy"]) == STRICT, path


@pytest.mark.parametrize(
    ("public_url", "scheme", "said"),
    [
        ("https://findme.example", "https", "max-age=31556926"),
        ("http://findme.example", "http", None),
        ("http://findme.example", "https", None),
    ],
)
def test_https_is_demanded_only_where_the_installation_has_it(
    settings: Settings, process_apps: Any, public_url: str, scheme: str, said: str | None
) -> None:
    told = settings.model_dump() | {"public_url": public_url}
    with process_apps.lent(Settings(_env_file=None, **told)) as app:
        answer = app.test_client().get("/", base_url=f"{scheme}://findme.example")
    assert answer.headers.get("Strict-Transport-Security") == said


# --- templates that no tour comes to ---


def test_no_template_has_inline_scripts_styles_or_handlers() -> None:
    """Mails are the exception: mail programs know no style sheets, and no browser of ours shows a mail as HTML."""
    templates = [path for path in (ROOT / "templates").rglob("*.html") if path.parent.name != "mail"]
    assert len(templates) > 50
    found = {
        str(path): inline(re.sub(r"\{[{%#].*?[}%#]\}", "", path.read_text(), flags=re.DOTALL)) for path in templates
    }
    assert {path: tags for path, tags in found.items() if tags} == {}
