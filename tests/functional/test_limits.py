"""Guessing is slow, and a full room behind one address is not taken for somebody who guesses."""

import io
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.actors import PASSWORD, Api, World
from tests.browsing import Browser, text
from tests.limiting import GUESSES, limiting
from tests.servers import Valkey, valkey
from webapp import create_app
from webapp.extensions import db
from webapp.reasons import SENTENCES
from webapp.services import precheck
from webapp.settings import Settings


@pytest.fixture
def limited(settings: Settings, world: World) -> Iterator[Flask]:
    """An app whose limits are on, as everywhere but in tests."""
    world.event()
    world.person("ada@example.com")
    yield from limiting(settings)


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
        assert 1 <= int(refused.headers["Retry-After"]) <= 61
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
        for _ in range(GUESSES // 2):
            assert Api(app).post("/check-event-code", json=wrong).status_code == 200
    assert Api(limited).post("/check-event-code", json=wrong).status_code == 429
    kept = [key.decode() for key in limited.extensions["redis"].keys("*guesses*")]
    assert len(kept) == 1 and "127.0.0.1" not in kept[0]
    assert 0 < limited.extensions["redis"].ttl(kept[0]) <= 60
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

    assert {guess(f"2001:db8::{number:x}") for number in range(GUESSES)} == {200}
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
    answers = [api.post("/check-event-code", json=wrong).status_code for _ in range(GUESSES + 1)]
    assert answers == [200] * GUESSES + [429]
    assert api.post("/check-event-code", json={"event_code": "PARTY234"}).headers["Retry-After"]


def test_many_who_guess_at_once_are_limited_too(limited: Flask) -> None:
    statuses: list[int] = []

    def guess() -> None:
        for _ in range(20):
            answer = Api(limited).post("/check-event-code", json={"event_code": "NOPE9999"})
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=guess) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429}
    # Those who are on their way when the limit is reached still get through.
    assert GUESSES <= statuses.count(200) <= GUESSES + 4


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
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    # Others, and what else is counted, are not concerned.
    assert check("192.0.2.7").status_code == 200
    assert api.post("/check-event-code", json={"event_code": "PARTY234"}).json["valid"] is True


def test_valid_selfies_of_a_full_room_are_not_counted(limited: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precheck, "ask", lambda _: precheck.Verdict(True, None))
    for _ in range(65):
        answer = Api(limited).post("/validate-selfie", data={"file": (io.BytesIO(b"a selfie"), "me.jpg")})
        assert answer.json["valid"] is True
