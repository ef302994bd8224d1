"""Guessing is slow, and a full room behind one address is not taken for somebody who guesses."""

import io
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.actors import Api, World
from tests.support.browsing import Browser, text
from tests.support.limiting import CODES, LOGINS, exhaust, limiting
from tests.support.servers import Valkey, valkey
from webapp import create_app
from webapp.db.extensions import db
from webapp.reasons import SENTENCES
from webapp.services.selfies import precheck
from webapp.settings import Settings
from webapp.web.access import limits


@pytest.fixture
def limited(settings: Settings, world: World) -> Iterator[Flask]:
    """An app whose limits are on, as everywhere but in tests."""
    world.event()
    world.person("ada@example.com")
    yield from limiting(settings)


def test_wrong_codes_and_passwords_are_counted_apart(limited: Flask) -> None:
    api = Api(limited)
    for _ in range(LOGINS):
        assert api.post("/check-event-code", json={"event_code": "NOPE9999"}).json["valid"] is False
        assert api.post("/login", json={"username": "ada@example.com", "password": "wrong"}).status_code == 401
    refused = api.post("/login", json={"username": "ada@example.com", "password": "wrong"})
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_guesses")
    assert 1 <= int(refused.headers["Retry-After"]) <= 600
    assert api.post("/check-event-code", json={"event_code": "NOPE9999"}).json["valid"] is False
    assert api.post("/login", json={"username": "bea@example.com", "password": "wrong"}).status_code == 401


def test_wrong_codes_in_pages_and_api_are_counted_together(limited: Flask) -> None:
    browser, api = Browser(limited), Api(limited)
    exhaust(limited, limits.codes, CODES - 3)
    assert browser.get("/e/NOPE9999").status_code == 404
    assert browser.submit("/", {"code": "NOPE9999"}).status_code == 422
    assert api.post("/check-event-code", json={"event_code": "NOPE9999"}).status_code == 200
    page = browser.get("/e/NOPE9999")
    assert page.status_code == 429 and page.headers["Retry-After"]
    assert str(SENTENCES["too_many_guesses"]) in text(page)
    assert browser.submit("/", {"code": "NOPE9999"}).status_code == 429


def test_three_hundred_guests_of_one_venue_are_not_limited(limited: Flask) -> None:
    api = Api(limited)
    for guest in range(300):
        if guest % 15 == 0:  # some mistype the code first
            assert api.post("/check-event-code", json={"event_code": "PARTY243"}).json["valid"] is False
        assert api.post("/check-event-code", json={"event_code": "party 234"}).json["valid"] is True
        body = {"event_code": "PARTY234", "username": f"guest{guest}", "email": f"guest{guest}@example.com"}
        assert api.post("/check-user-availability", json=body).status_code == 200
    assert api.register("PARTY234", "the-last-one").get("/me").status_code == 200


def test_processes_count_together_in_redis_and_no_address_is_kept(limited: Flask, settings: Settings) -> None:
    wrong = {"event_code": "NOPE9999"}
    other = create_app(settings.model_copy(update={"environment": "development"}))
    for app in (limited, other):
        exhaust(app, limits.codes, CODES // 2 - 1)
        assert Api(app).post("/check-event-code", json=wrong).status_code == 200
    assert Api(limited).post("/check-event-code", json=wrong).status_code == 429
    kept = [key.decode() for key in limited.extensions["redis"].keys("findme:limits:*")]
    assert len(kept) == 1 and "127.0.0.1" not in kept[0]
    assert 0 < limited.extensions["redis"].ttl(kept[0]) <= 600
    # Somebody else, behind another address, is let through.
    elsewhere = limited.test_client().post(
        "/api/check-event-code", json=wrong, environ_base={"REMOTE_ADDR": "192.0.2.7"}
    )
    assert elsewhere.status_code == 200
    with other.app_context():
        db.engine.dispose()


def test_an_ipv6_network_counts_as_one(limited: Flask) -> None:
    def guess(address: str) -> int:
        client = limited.test_client()
        return client.post(
            "/api/check-event-code", json={"event_code": "NOPE9999"}, environ_base={"REMOTE_ADDR": address}
        ).status_code

    for number in range(CODES - 1):
        exhaust(limited, limits.codes, 1, f"2001:db8::{number:x}")
    assert guess("2001:db8::ffff:2") == 200
    assert guess("2001:db8::ffff:1") == 429
    assert guess("2001:db8:0:1::1") == 200


def test_while_redis_is_away_each_process_counts_by_itself(settings: Settings, world: World) -> None:
    world.event()
    with valkey() as own:
        for app in limiting(settings.model_copy(update={"redis_url": own.url})):
            _guess_while_redis_goes(app, own)


def _guess_while_redis_goes(app: Flask, redis: Valkey) -> None:
    api, wrong = Api(app), {"event_code": "NOPE9999"}
    assert api.post("/check-event-code", json=wrong).status_code == 200
    redis.stop()
    exhaust(app, limits.codes, CODES - 3)
    assert [api.post("/check-event-code", json=wrong).status_code for _ in range(4)] == [200] * 3 + [429]
    assert api.post("/check-event-code", json={"event_code": "PARTY234"}).json["valid"] is True


def test_pictures_that_are_not_found_to_be_valid_are_counted_by_address(limited: Flask) -> None:
    api = Api(limited)

    def check(address: str = "127.0.0.1") -> TestResponse:
        return limited.test_client().post(
            "/api/validate-selfie",
            data={"file": (io.BytesIO(b"no picture"), "me.jpg")},
            environ_base={"REMOTE_ADDR": address},
        )

    assert {check().status_code for _ in range(60)} == {200}
    refused = check()
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_guesses")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    # Others, and what else is counted, are not concerned.
    assert check("192.0.2.7").status_code == 200
    assert api.post("/check-event-code", json={"event_code": "PARTY234"}).json["valid"] is True


def test_valid_selfies_of_a_full_room_are_not_counted(limited: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precheck, "ask", lambda *_: precheck.Verdict(True, None))
    for _ in range(65):
        answer = Api(limited).post("/validate-selfie", data={"file": (io.BytesIO(b"a selfie"), "me.jpg")})
        assert answer.json["valid"] is True
