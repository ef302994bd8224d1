"""The script by which browsers show a page without a connection, and the page that it has in it."""

import json
import re
from typing import Any

import pytest
from flask import Flask

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser


def kept(browser: Browser, query: str = "", **options: Any) -> dict[str, Any]:
    found = re.match(r"self\.KEPT=(\{.*?\});\n", browser.get(f"/worker.js{query}", **options).text)
    assert found
    said: dict[str, Any] = json.loads(found[1])
    return said


@pytest.mark.parametrize(("language", "words"), [("en", "Nothing is lost"), ("fr", "Rien n’est perdu")])
def test_it_says_what_will_happen_in_the_language_of_the_page(app: Flask, language: str, words: str) -> None:
    other = "fr" if language == "en" else "en"
    page = kept(Browser(app), f"?language={language}", headers={"Accept-Language": other})["page"]
    assert f'<html lang="{language}">' in page
    assert words in page


@pytest.mark.parametrize("query", ["", "?language=", "?language=xx", "?language=../fr", "?language=fr&language=en"])
def test_odd_languages_are_no_fault(app: Flask, query: str) -> None:
    assert "<html lang=" in kept(Browser(app), query)["page"]


def test_it_is_the_same_for_everyone(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    ada = Browser(app).sign_in("ada@example.com", PASSWORD)
    script = ada.get("/worker.js?language=en").text
    assert script == Browser(app).get("/worker.js?language=en").text
    assert not re.search("csrf|ada@|sign-out", script, re.IGNORECASE)
    assert "Set-Cookie" not in Browser(app).get("/worker.js?language=en").headers


def test_all_that_the_page_needs_is_kept_and_nothing_else(app: Flask) -> None:
    browser = Browser(app)
    said = kept(browser)
    assert set(re.findall(r'(?:href|src)="(/[^"]+)"', said["page"])) == set(said["files"])
    for address in said["files"]:
        assert browser.get(address).status_code == 200


def test_another_page_is_another_worker(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(app)
    first = kept(browser, "?language=en")
    assert kept(browser, "?language=en") == first
    assert kept(browser, "?language=fr")["name"] != first["name"]
    monkeypatch.setitem(app.extensions["bundles"].manifest.files, "offline.css", "offline-NEW.css")
    assert kept(browser, "?language=en")["name"] != first["name"]


def test_the_script_runs_as_one(app: Flask) -> None:
    answer = app.test_client().get("/worker.js")
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert not re.search(r"^(import|export)\b", answer.text, re.MULTILINE)
