"""What is compressed, for whom, and that it is the same afterwards."""

import gzip
import re
import time
from typing import Any

import brotli
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser
from tests.support.built import address
from webapp.settings import ROOT, Settings

HTTPS = "https://findme.example"
OURS = {"Sec-Fetch-Site": "same-origin"}


def content(answer: TestResponse) -> bytes:
    undo = {"br": brotli.decompress, "gzip": gzip.decompress}.get(answer.headers.get("Content-Encoding", ""), bytes)
    return undo(answer.data)


def get(app: Flask, path: str, accept: str, **options: Any) -> TestResponse:
    return app.test_client().get(path, headers={"Accept-Encoding": accept}, **options)


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.5, gzip;q=0.9", "gzip"),
        ("deflate", None),
        ("identity", None),
        ("br;q=0", None),
        ("br;q=0, gzip;q=0, *;q=0", None),
        ("", None),
        ("no,sense;;q=x,", None),
    ],
)
@pytest.mark.parametrize("kind", ["page", "file", "json"])
def test_each_browser_gets_what_it_can_read(app: Flask, kind: str, accept: str, encoding: str | None) -> None:
    path = {"page": "/sign-in", "file": address("guest.js"), "json": "/api/openapi.json"}[kind]
    plain, answer = get(app, path, "identity"), get(app, path, accept)
    if kind == "file" and encoding:
        encoding = "br" if "br" in accept else "gzip"  # both are made already, and the smaller one is taken
    assert answer.headers.get("Content-Encoding") == encoding
    assert "Accept-Encoding" in answer.headers.get("Vary", "")
    if encoding:
        assert len(answer.data) < len(plain.data) / 2
    tokens = re.compile(rb'(csrf_token"[^>]*value=|X-CSRFToken": )"[^"]+"|name="request_key"[^>]*>')
    assert tokens.sub(b"", content(answer)) == tokens.sub(b"", plain.data)
    plain.close()
    answer.close()


def test_pictures_and_small_answers_stay_as_they_are(app: Flask) -> None:
    for path in (address("figtree.woff2"), "/api/health/live"):
        answer = get(app, path, "br, gzip")
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers, path
        answer.close()


@pytest.mark.parametrize(
    ("public_url", "signed_in", "site", "compressed"),
    [
        (HTTPS, True, "same-origin", True),
        (HTTPS, True, "none", True),
        (HTTPS, True, "same-site", False),
        (HTTPS, True, "cross-site", False),
        (HTTPS, True, "CROSS-SITE", False),
        (HTTPS, True, None, False),
        (HTTPS, False, "cross-site", True),
        (HTTPS, False, None, True),
        ("http://findme.example", True, None, True),
    ],
)
def test_what_another_site_may_have_asked_for_is_not_compressed(
    settings: Settings,
    process_apps: Any,
    world: World,
    public_url: str,
    signed_in: bool,
    site: str | None,
    compressed: bool,
) -> None:
    world.person("ada@example.com")
    told = settings.model_dump() | {"public_url": public_url}
    with process_apps.lent(Settings(_env_file=None, **told)) as app:
        client = app.test_client()
        if signed_in:
            client.set_cookie("findme", "any", domain="findme.example")
        headers = {"Accept-Encoding": "br"} | ({"Sec-Fetch-Site": site} if site else {})
        answer = client.get("/sign-in", headers=headers, base_url=public_url)
    assert ("Content-Encoding" in answer.headers) == compressed


def test_the_secret_of_a_token_is_another_in_each_second(app: Flask, world: World) -> None:
    """What docs/decisions/0016 builds on: value.time.signature, and only the value is steady."""
    world.person("ada@example.com")
    browser = Browser(app).sign_in("ada@example.com", PASSWORD)
    first = browser.token("/account/password").split(".")
    time.sleep(1.1)
    second = browser.token("/account/password").split(".")
    assert first[0] == second[0]
    assert first[-1] != second[-1]
    forged = f"{first[0]}.{first[1]}.{second[-1]}"
    answer = browser.client.post("/sign-out", data={"csrf_token": forged})
    assert answer.status_code == 400


def test_the_build_compressed_what_gets_smaller() -> None:
    files = {path.name for path in (ROOT / "static" / "built" / "files").iterdir()}
    for name in files:
        if name.endswith((".js", ".css", ".svg")):
            assert {f"{name}.br", f"{name}.gz"} <= files, name
