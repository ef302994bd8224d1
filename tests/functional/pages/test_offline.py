"""The page that is shown without a connection, and the script by which browsers keep it."""

import json
import re

import pytest
from flask import Flask

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser


def kept(browser: Browser, address: str = "/worker.js") -> dict[str, object]:
    found = re.match(r"self\.KEPT=(\{.*?\});\n", browser.get(address).text)
    assert found
    said: dict[str, object] = json.loads(found[1])
    return said


@pytest.mark.parametrize(("language", "words"), [("en", "Nothing is lost"), ("fr", "Rien n’est perdu")])
def test_it_says_what_will_happen_in_the_language_of_the_page(app: Flask, language: str, words: str) -> None:
    browser = Browser(app)
    other = "fr" if language == "en" else "en"
    answer = browser.get(f"/offline?language={language}", headers={"Accept-Language": other})
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    assert words in answer.text


@pytest.mark.parametrize("query", ["", "?language=", "?language=xx", "?language=../fr", "?language=fr&language=en"])
def test_odd_languages_are_no_fault(app: Flask, query: str) -> None:
    for path in ("/offline", "/worker.js"):
        assert Browser(app).get(path + query).status_code == 200


def test_it_is_the_same_for_everyone(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    ada = Browser(app).sign_in("ada@example.com", PASSWORD)
    page = ada.get("/offline?language=en").text
    assert page == Browser(app).get("/offline?language=en").text
    assert not re.search("csrf|ada|sign-out", page, re.IGNORECASE)
    assert "Set-Cookie" not in Browser(app).get("/offline?language=en").headers


def test_all_that_it_needs_is_kept_and_nothing_else(app: Flask) -> None:
    browser = Browser(app)
    said = kept(browser, "/worker.js?language=fr")
    assert said["page"] == "/offline?language=fr"
    page = browser.get("/offline?language=fr").text
    assert set(re.findall(r'(?:href|src)="(/[^"]+)"', page)) == set(said["files"])  # type: ignore[call-overload]
    for address in said["files"]:  # type: ignore[attr-defined]
        assert browser.get(address).status_code == 200


def test_another_page_is_another_worker(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(app)
    first = kept(browser, "/worker.js?language=en")
    assert kept(browser, "/worker.js?language=en") == first
    assert kept(browser, "/worker.js?language=fr")["name"] != first["name"]
    monkeypatch.setitem(app.extensions["bundles"].manifest.files, "offline.css", "offline-NEW.css")
    assert kept(browser, "/worker.js?language=en")["name"] != first["name"]


def test_the_script_runs_as_one(app: Flask) -> None:
    answer = app.test_client().get("/worker.js")
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "sourceMappingURL" not in answer.text
    assert not re.search(r"^(import|export)\b", answer.text, re.MULTILINE)
