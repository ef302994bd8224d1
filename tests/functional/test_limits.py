"""Guessing is slow, and a full room behind one address is not taken for somebody who guesses."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.actors import PASSWORD, Api, World
from tests.browsing import Browser, text
from webapp import create_app
from webapp.extensions import db, limiter
from webapp.reasons import SENTENCES
from webapp.settings import Settings

GUESSES = 30


@pytest.fixture
def limited(settings: Settings, world: World) -> Iterator[Flask]:
    """An app whose limits are on, as everywhere but in tests."""
    world.event()
    world.person("ada@example.com")
    app = create_app(settings.model_copy(update={"environment": "development"}))
    limiter.reset()
    yield app
    limiter.enabled = False
    with app.app_context():
        db.engine.dispose()


def test_wrong_codes_and_passwords_from_one_address_are_limited_together(limited: Flask) -> None:
    api = Api(limited)
    for _ in range(GUESSES // 2):
        assert api.post("/check-event-code", json={"event_code": "NOPE9999"}).json["valid"] is False
        assert api.post("/login", json={"username": "ada@example.com", "password": "wrong"}).status_code == 401
    for path, body in (
        ("/check-event-code", {"event_code": "PARTY234"}),
        ("/login", {"username": "ada@example.com", "password": PASSWORD}),
        ("/check-user-availability", {"event_code": "PARTY234"}),
    ):
        refused = api.post(path, json=body)
        assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    page = Browser(limited).get("/e/NOPE9999")
    assert page.status_code == 429
    assert str(SENTENCES["too_many_requests"]) in text(page)


def test_wrong_codes_and_passwords_in_the_pages_count_as_well(limited: Flask) -> None:
    browser = Browser(limited)
    for _ in range(GUESSES // 3):
        assert browser.get("/e/NOPE9999").status_code == 404
        assert browser.submit("/", {"code": "NOPE9999"}).status_code == 422
        assert browser.submit("/sign-in", {"login": "ada", "password": "wrong"}).status_code == 422
    assert browser.submit("/", {"code": "PARTY234"}).status_code == 429
    assert browser.submit("/sign-in", {"login": "ada@example.com", "password": PASSWORD}).status_code == 429


def test_a_full_room_behind_one_address_is_not_limited(limited: Flask) -> None:
    api, browser = Api(limited), Browser(limited)
    for _ in range(GUESSES + 5):
        assert api.post("/check-event-code", json={"event_code": "PARTY234"}).json["valid"] is True
        assert api.login("ada@example.com").token
        assert browser.get("/e/PARTY234").status_code == 200
    assert api.register("PARTY234", "guest").get("/my-photos").status_code == 200
    assert browser.submit("/sign-in", {"login": "guest", "password": PASSWORD}).status_code == 303
