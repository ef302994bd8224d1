"""Guessing, and the guests who share a network address with somebody who guesses.

An attacker behind a venue's Wi-Fi could block everybody there with 31 wrong codes, or 30 wrong passwords, and could try
more passwords than the limit by sending many at once. What must hold:

- A correct code, a QR link, a correct password, a sign-in link and an invitation work whatever others tried before.
- Of wrong guesses at once no more than the limit are told so, the others get 429 with `Retry-After`.
- Guesses get slow once most of a limit is used up, right ones like wrong ones, and those that wait never take up more
  than half of a process's threads.
- Failures on an account don't slow down its owner on a device that has signed in to it before, and a password that an
  attacker gives an account of their own with the same address does not make them the owner.

All of this runs against a real Redis, with real threads where things happen at once.
"""

import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import Browser, text
from tests.support.limiting import CODES, LOGINS, PASSWORDS, exhaust, limiting
from webapp.db.extensions import db
from webapp.models import Event
from webapp.queueing import unit_of_work
from webapp.reasons import SENTENCES
from webapp.services.core.consents import CONSENT_VERSION
from webapp.services.events import events
from webapp.settings import Settings
from webapp.web import links
from webapp.web.access import limits
from webapp.web.access.limits import BUDGETS

WRONG = {"event_code": "NOPE9999"}
ADA = "ada@example.com"


@pytest.fixture
def limited(settings: Settings, world: World) -> Iterator[Flask]:
    """An app whose limits are on, with an event and an account."""
    world.event()
    world.person(ADA)
    yield from limiting(settings)


def join_path(app: Flask) -> str:
    """The path and query of the event's QR link."""
    with app.test_request_context():
        event = db.session.scalars(select(Event).where(Event.code == "PARTY234")).one()
        return links.join_url(event).removeprefix("http://localhost")


def waited(app: Flask) -> int:
    """How many guesses have had to wait."""
    return int(app.extensions["limits"].places.given)


def wrong_code(app: Flask) -> TestResponse:
    return Api(app).post("/check-event-code", json=WRONG)


def wrong_password(app: Flask, login: str = ADA) -> TestResponse:
    return Api(app).post("/login", json={"username": login, "password": "wrong"})


def wrong_from(app: Flask, address: str, login: str) -> int:
    body = {"username": login, "password": "wrong"}
    return app.test_client().post("/api/login", json=body, environ_overrides={"REMOTE_ADDR": address}).status_code


# --- what is right is served ---


def test_after_wrong_codes_everybody_with_the_right_one_gets_in(limited: Flask) -> None:
    exhaust(limited, limits.codes, CODES - 3)
    assert [wrong_code(limited).status_code for _ in range(4)] == [200] * 3 + [429]
    api = Api(limited)
    assert api.post("/check-event-code", json={"event_code": "PARTY234"}).json["valid"] is True
    assert api.post("/check-user-availability", json={"event_code": "PARTY234"}).status_code == 200
    assert api.register("PARTY234", "guest").get("/me").status_code == 200
    assert Browser(limited).get("/e/PARTY234").status_code == 200
    assert Browser(limited).submit("/", {"code": "party 234"}).status_code == 303
    form = {"name": "Bea", "email": "bea@example.com", "consent": "y", "consent_version": CONSENT_VERSION}
    joined = Browser(limited).submit("/e/PARTY234", form | {"file": (io.BytesIO(selfie("grace")), "me.jpg")})
    assert (joined.status_code, joined.headers["Location"]) == (303, "/e/PARTY234/photos")


def test_after_wrong_passwords_everybody_with_a_right_one_gets_in(limited: Flask, world: World) -> None:
    world.person("bea@example.com")
    exhaust(limited, lambda: limits.passwords("nobody@example.com"), PASSWORDS)
    assert Api(limited).login("bea@example.com").token
    Browser(limited).sign_in(ADA, PASSWORD)


def test_thirty_guests_with_typos_behind_one_address_all_get_in(limited: Flask) -> None:
    def arrive(number: int) -> tuple[list[int], int]:
        browser = Browser(limited)
        typos = [browser.submit("/", {"code": f"PARTY{number:03}{typo}"}).status_code for typo in range(2)]
        return typos, browser.submit("/", {"code": "PARTY234"}).status_code

    with ThreadPoolExecutor(4) as pool:
        arrived = list(pool.map(arrive, range(30)))
    assert {entered for _, entered in arrived} == {303}
    assert {status for typos, _ in arrived for status in typos} == {422}


def test_a_qr_link_never_waits_and_is_never_counted(limited: Flask) -> None:
    exhaust(limited, limits.codes, 2 * CODES)
    path, guest, before = join_path(limited), Browser(limited), waited(limited)
    assert guest.get(path).status_code == 200
    # The browser keeps it: for the form, its errors, the language, and the way through signing in and out.
    assert guest.submit("/e/PARTY234", {"name": ""}).status_code == 422
    guest.submit("/language", {"language": "fr", "next": "/e/PARTY234"}, page="/")
    assert guest.get("/e/PARTY234").status_code == 200
    assert waited(limited) == before
    guest.sign_in(ADA, PASSWORD)
    guest.submit("/sign-out", page="/")
    assert guest.get("/e/PARTY234").status_code == 200
    assert waited(limited) == before


def test_a_wrong_token_is_worth_nothing_and_does_no_harm(limited: Flask) -> None:
    exhaust(limited, limits.codes, CODES - 2)
    assert Browser(limited).get("/e/NOPE9999?t=AAAAAAAAAAAAAAAA").status_code == 404
    assert Browser(limited).get(f"/e/NOPE9999?{join_path(limited).partition('?')[2]}").status_code == 404
    assert Browser(limited).get("/e/NOPE9999?t=AAAAAAAAAAAAAAAA").status_code == 429
    assert Browser(limited).get("/e/PARTY234?t=AAAAAAAAAAAAAAAA").status_code == 200
    assert Browser(limited).get("/e/PARTY234?t=%ff%00é").status_code == 200


def test_another_code_makes_another_token(limited: Flask, world: World) -> None:
    old = join_path(limited)
    with limited.app_context():
        event = db.session.scalars(select(Event)).one()
        owner, details = event.memberships[0].user, events.Details("Party", event.date, code="NEWPARTY")
        with unit_of_work():
            events.edit(event, details, owner)
    assert Browser(limited).get(old).status_code == 404
    with limited.app_context():
        assert db.session.scalars(select(Event)).one().join_token not in old


def test_members_are_never_slowed_down(limited: Flask) -> None:
    guest = Api(limited).register("PARTY234", "guest")
    browser = Browser(limited).sign_in("guest", PASSWORD)
    for _ in range(BUDGETS["codes of account"].limit.amount):
        guest.post("/join-event", json=WRONG)
    before = waited(limited)
    assert browser.get("/e/PARTY234").status_code == 303
    assert browser.get("/e/PARTY234/photos").status_code == 200
    assert guest.post("/join-event", json={"event_code": "PARTY234"}).status_code == 200
    assert waited(limited) == before


# --- guessing is slow, and counted exactly ---


def test_of_120_wrong_logins_32_at_once_no_more_than_the_limit_are_told(limited: Flask) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: wrong_password(limited), range(120)))
    told = Counter(answer.status_code for answer in answers)
    assert set(told) == {401, 429}
    assert told[401] <= LOGINS  # fewer where some found no place to wait in
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json["code"] == "too_many_guesses"
    assert 1 <= int(refused.headers["Retry-After"]) <= 600


def test_of_wrong_logins_at_many_accounts_no_more_than_the_limit_are_told(limited: Flask) -> None:
    exhaust(limited, lambda: limits.passwords("nobody")[-1:], PASSWORDS - 20)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda number: wrong_password(limited, f"guest {number}").status_code, range(60)))
    assert set(answers) == {401, 429}
    assert answers.count(401) <= 20  # fewer where some found no place to wait in


def test_of_wrong_codes_at_once_no_more_than_the_limit_are_told(limited: Flask) -> None:
    exhaust(limited, limits.codes, CODES - 20)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: wrong_code(limited).status_code, range(60)))
    assert set(answers) == {200, 429}
    assert answers.count(200) <= 20  # fewer where some found no place to wait in


def test_the_sum_that_redis_returns_decides(limited: Flask) -> None:
    counter = limits.Counter("codes of address", "somewhere")
    with ThreadPoolExecutor(32) as pool:
        over = list(pool.map(lambda _: limited.extensions["limits"].count([counter]), range(3 * CODES)))
    assert over.count(0) == CODES


def test_guesses_wait_longer_and_longer_and_right_ones_like_wrong_ones() -> None:
    budget = BUDGETS["passwords of login"]
    assert [budget.delay(failures) for failures in (0, 6, 7, 10, 14, 17, 20, 24, 1000)] == [
        *(0, 0, 0.25, 0.5, 1, 2, 4, 8, 8)
    ]


def test_a_right_password_takes_as_long_as_a_wrong_one(limited: Flask) -> None:
    for _ in range(LOGINS):
        wrong_password(limited)
    began = time.monotonic()
    Api(limited).login(ADA)
    assert time.monotonic() - began >= BUDGETS["passwords of login"].delay(LOGINS)


def test_those_who_wait_leave_threads_for_everybody_else(limited: Flask) -> None:
    """A flood of guesses: most are refused at once, pages are served meanwhile, and the QR link works."""
    exhaust(limited, limits.codes, 2 * CODES)
    places, most, over = limited.extensions["limits"].places, [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], places.waiting())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with ThreadPoolExecutor(32) as pool:
        flood = [pool.submit(wrong_code, limited) for _ in range(64)]
        assert Browser(limited).get(join_path(limited)).status_code == 200
        assert not all(guess.done() for guess in flood), "it did not wait for them"
        assert {guess.result().status_code for guess in flood} == {429}, "nothing is told beyond the limit"
    over.set()
    watcher.join()
    assert 1 <= most[0] <= BUDGETS["codes of address"].at_once <= limited.extensions["settings"].threads // 2


# --- nobody is locked out by others ---


def test_an_owner_on_a_known_device_does_not_feel_an_attack(limited: Flask) -> None:
    owner = Browser(limited).sign_in(ADA, PASSWORD)
    owner.submit("/sign-out", page="/")
    exhaust(limited, lambda: limits.passwords(ADA), 60)
    before = waited(limited)
    assert owner.submit("/sign-in", {"login": ADA, "password": "mistyped"}).status_code == 422
    owner.sign_in(ADA, PASSWORD)
    assert waited(limited) == before


def test_an_unproven_account_with_the_same_address_makes_nobody_the_owner(limited: Flask) -> None:
    body = {"username": "mallory", "email": ADA, "password": "my own password"}
    answer = Api(limited).post("/register-with-event-code", json={"user_data": body, "event_code": "PARTY234"})
    assert answer.status_code == 201
    mallory = Browser(limited).sign_in(ADA, "my own password")
    mallory.submit("/sign-out", page="/")
    statuses = [mallory.submit("/sign-in", {"login": ADA, "password": "guess"}).status_code for _ in range(LOGINS)]
    assert statuses == [422] * LOGINS
    assert wrong_password(limited).status_code == 429, "these were a stranger's failures"


def test_a_made_up_device_cookie_brings_no_further_guesses(limited: Flask) -> None:
    def guess(number: int) -> int:
        client = limited.test_client()
        client.set_cookie("device", f"{number:022}")
        return client.post("/api/login", json={"username": ADA, "password": "wrong"}).status_code

    assert [guess(number) for number in range(LOGINS + 2)] == [401] * LOGINS + [429] * 2


def test_the_answer_says_what_to_do_beside_the_form(limited: Flask) -> None:
    exhaust(limited, lambda: limits.passwords(ADA), LOGINS)
    page = Browser(limited).submit("/sign-in", {"login": ADA, "password": "wrong"})
    assert page.status_code == 429 and page.headers["Retry-After"]
    assert str(SENTENCES["too_many_guesses"]) in text(page) and 'name="password"' in page.text


# --- pictures and mails ---


def test_pictures_are_counted_by_account_and_only_refused_ones(limited: Flask) -> None:
    def check(client: Api) -> TestResponse:
        return client.post("/validate-selfie", data={"file": (io.BytesIO(b"no picture"), "me.jpg")})

    guest = Api(limited).register("PARTY234", "guest")
    limit = BUDGETS["checks of account"].limit.amount
    assert Counter(check(guest).status_code for _ in range(limit)) == {200: limit}
    assert check(guest).status_code == 429
    assert check(Api(limited).login(ADA)).status_code == 200, "somebody else behind the same address"
    assert check(Api(limited)).status_code == 200
    assert guest.post("/validate-selfie", data={"file": (io.BytesIO(selfie("grace")), "me.jpg")}).status_code == 202


def test_a_room_full_of_guests_gets_its_sign_in_links(limited: Flask) -> None:
    for number in range(40):
        asked = Browser(limited).submit("/sign-in/link", {"email": f"guest{number}@example.com"}, page="/sign-in")
        assert asked.status_code == 303
    limit = BUDGETS["mails of address"].limit.amount
    browser = Browser(limited)
    token = browser.token("/sign-in")
    for _ in range(limit - 40):
        browser.client.post("/sign-in/link", data={"csrf_token": token, "email": "x"})
    assert browser.client.post("/sign-in/link", data={"csrf_token": token, "email": "x"}).status_code == 429


def test_a_username_like_somebodys_address_comes_between_nobody(limited: Flask) -> None:
    owner = Browser(limited).sign_in(ADA, PASSWORD)
    owner.submit("/sign-out", page="/")
    mallory = {"username": ADA, "email": "mallory@example.com", "password": "my own password"}
    body = {"user_data": mallory, "event_code": "PARTY234"}
    assert Api(limited).post("/register-with-event-code", json=body).status_code == 201
    exhaust(limited, lambda: limits.passwords(ADA), 60, "10.0.0.66")
    before = waited(limited)
    owner.sign_in(ADA, PASSWORD)
    assert waited(limited) == before


def test_one_address_that_tries_many_logins_takes_no_place_of_others(limited: Flask) -> None:
    for number in range(5):
        exhaust(limited, lambda login=f"login {number}": limits.passwords(login), 24, "10.0.0.66")  # type: ignore[misc]
    exhaust(limited, limits.codes, CODES, "10.0.0.7")
    with ThreadPoolExecutor(10) as pool:
        flood = [pool.submit(wrong_from, limited, "10.0.0.66", f"login {number % 5}") for number in range(10)]
        time.sleep(0.5)
        assert limited.extensions["limits"].places.waiting() <= BUDGETS["passwords of address"].at_once
        right = limited.test_client().post(
            "/api/check-event-code", json={"event_code": "PARTY234"}, environ_overrides={"REMOTE_ADDR": "10.0.0.7"}
        )
        assert right.status_code == 200
    assert {guess.result() for guess in flood} <= {401, 429}


def test_a_flood_on_a_login_from_one_address_leaves_its_owner_a_place(limited: Flask) -> None:
    exhaust(limited, lambda: limits.passwords(ADA), 20, "10.0.0.66")
    with ThreadPoolExecutor(8) as pool:
        flood = [pool.submit(wrong_from, limited, "10.0.0.66", ADA) for _ in range(8)]
        time.sleep(0.5)
        Api(limited).login(ADA)
    assert {guess.result() for guess in flood} <= {401, 429}


@pytest.mark.parametrize("path", ["new", "settings"])
def test_who_chooses_a_code_asks_for_few(limited: Flask, world: World, path: str) -> None:
    world.event("RIVAL234", owner="rival@example.com")
    rival = Browser(limited).sign_in("rival@example.com", PASSWORD)
    with limited.app_context():
        event = db.session.scalars(select(Event).where(Event.code == "RIVAL234")).one().public_id
    page = "/studio/events/new" if path == "new" else f"/studio/events/{event}/settings"
    form = {"name": "Party", "date": "2026-06-20", "timezone": "UTC", "language": "", "code": "PARTY234"}
    asked = [text(rival.submit(page, form)) for _ in range(BUDGETS["codes of account"].limit.amount + 1)]
    assert "Another event has this code" in asked[0] and "Another event has this code" not in asked[-1]
    assert str(SENTENCES["too_many_guesses"]) in asked[-1]
