"""One guest, once: whatever is sent twice, by a double tap, a reload or a retry, is done once and answered alike."""

import io
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import HTMX, Browser, text, value_of
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import IdempotencyKey, Mail, Selfie, User, UserSession
from webapp.queueing import unit_of_work
from webapp.services.core import idempotency
from webapp.services.core.consents import CONSENT_VERSION

pytestmark = pytest.mark.both_databases
JOIN, PHOTOS = "/e/PARTY234", "/e/PARTY234/photos"


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def guests(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(User).where(User.email == "ada@example.com")) or 0


def filled(browser: Browser, page: str = JOIN) -> dict[str, Any]:
    """The form as this browser shows it, filled in; without the picture, which can be sent once only."""
    shown = browser.get(page)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', shown.text)
    assert found
    return {
        "csrf_token": found[1],
        "request_key": value_of(shown, "request_key"),
        "name": "Ada",
        "email": "ada@example.com",
        "consent": "y",
        "consent_version": CONSENT_VERSION,
    }


def send(browser: Browser, form: dict[str, Any], page: str = JOIN, *, htmx: bool = False) -> TestResponse:
    picture = {"file": (io.BytesIO(selfie("grace")), "me.jpg")}
    return browser.client.post(page, data=form | picture, headers=HTMX if htmx else {})


def send_and_lose_the_answer(browser: Browser, form: dict[str, Any], page: str = JOIN) -> None:
    """Send a form, and go on as if no answer had come: without the cookies that it brought."""
    before = {name: browser.client.get_cookie(name) for name in ("findme", "device")}
    assert send(browser, form, page).status_code == 303
    for name, cookie in before.items():
        browser.client.delete_cookie(name)
        if cookie is not None:
            browser.client.set_cookie(name, cookie.value)


def test_a_join_whose_answer_was_lost_is_answered_when_it_is_sent_again(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    form = filled(browser)
    send_and_lose_the_answer(browser, form)
    again = send(browser, form, htmx=True)
    assert again.headers["HX-Redirect"] == PHOTOS
    assert browser.get(PHOTOS).status_code == 200
    assert (guests(app), count(app, Selfie), count(app, UserSession), count(app, Mail)) == (1, 1, 1, 1)


def test_a_reload_after_a_lost_answer_opens_the_photos(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    send_and_lose_the_answer(browser, filled(browser))
    shown = browser.get(JOIN)
    assert (shown.status_code, shown.location) == (303, PHOTOS)
    assert browser.get(PHOTOS).status_code == 200
    assert (guests(app), count(app, Selfie), count(app, UserSession)) == (1, 1, 1)


def test_a_double_tap_makes_one_guest(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    form = filled(browser)
    cookie = browser.client.get_cookie("findme")
    assert cookie is not None

    def tap(_: int) -> int:
        same = Browser(app)
        same.client.set_cookie("findme", cookie.value)
        return send(same, form).status_code

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(tap, range(4))) == [303] * 4
    assert (guests(app), count(app, Selfie), count(app, UserSession)) == (1, 1, 1)


def test_a_form_with_a_fault_can_be_sent_again_with_the_same_key(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    form = filled(browser)
    assert send(browser, form | {"email": "nonsense"}).status_code == 422
    assert send(browser, form).status_code == 303
    assert guests(app) == 1


def test_another_browser_gains_nothing_from_a_key(app: Flask, world: World) -> None:
    world.event()
    owner, other = Browser(app), Browser(app)
    form = filled(owner)
    send(owner, form)
    send(other, filled(other) | {"request_key": form["request_key"], "name": "Eve", "email": "eve@example.com"})
    assert "eve@example.com" in text(other.get("/api/me"))


def test_after_signing_out_neither_the_form_nor_a_reload_signs_in(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    form = filled(browser)
    send_and_lose_the_answer(browser, form)
    with app.app_context(), unit_of_work():
        db.session.execute(UserSession.__table__.delete())
    assert "you have signed out since" in text(send(browser, form))
    assert browser.get(JOIN).status_code == 200
    assert browser.get("/api/me").status_code == 401


def test_a_key_is_forgotten_after_a_day(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    send(browser, filled(browser))
    with app.app_context(), unit_of_work():
        db.session.execute(update(IdempotencyKey).values(created_at=utcnow() - timedelta(days=1, seconds=1)))
    with app.app_context(), unit_of_work():
        assert idempotency.forget() == 1
    assert count(app, IdempotencyKey) == 0


def test_a_further_selfie_sent_twice_is_one(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    send(browser, filled(browser))
    form = filled(browser, "/e/PARTY234/selfie")
    send_and_lose_the_answer(browser, form, "/e/PARTY234/selfie")
    assert send(browser, form, "/e/PARTY234/selfie").location == PHOTOS
    assert count(app, Selfie) == 2
    # The next one is another one.
    assert send(browser, filled(browser, "/e/PARTY234/selfie"), "/e/PARTY234/selfie").location == PHOTOS
    assert count(app, Selfie) == 3


def test_a_known_selfie_is_taken_along_once(app: Flask, world: World) -> None:
    world.event()
    world.event("OTHER234")
    browser = Browser(app)
    send(browser, filled(browser))
    world.work()
    form = filled(browser, "/e/OTHER234") | {"reuse": "y"}
    cookie = browser.client.get_cookie("findme")
    assert cookie is not None

    def tap(_: int) -> int:
        same = Browser(app)
        same.client.set_cookie("findme", cookie.value)
        return same.client.post("/e/OTHER234", data=form).status_code

    with ThreadPoolExecutor(3) as threads:
        assert set(threads.map(tap, range(3))) == {303}
    assert count(app, Selfie) == 2


# --- the API ---


def registration(**other: Any) -> dict[str, Any]:
    data = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    return {"user_data": data | other, "event_code": "PARTY234", "consent": True}


def invitation(**other: Any) -> dict[str, Any]:
    form = {"username": "ada", "email": "ada@example.com", "password": PASSWORD, "event_code": "PARTY234"}
    return form | {"consent": "true", "file": (io.BytesIO(selfie("grace")), "me.jpg")} | other


def post(app: Flask, path: str, key: str, **kwargs: Any) -> TestResponse:
    return app.test_client().post(f"/api{path}", headers={"Idempotency-Key": key}, **kwargs)


@pytest.mark.parametrize("way", ["code", "selfie"])
def test_a_repeated_registration_gets_the_same_answer(app: Flask, world: World, way: str) -> None:
    world.event()
    key = str(uuid.uuid4())

    def register() -> TestResponse:
        if way == "code":
            return post(app, "/register-with-event-code", key, json=registration())
        return post(app, "/register-invite-with-selfie", key, data=invitation())

    first, second = register(), register()
    assert (first.status_code, second.status_code) == (201, 201), second.text
    assert first.json == second.json
    assert guests(app) == 1
    assert Api(app, second.json["access_token"]).get("/me").status_code == 200  # type: ignore[index]


def test_registrations_with_one_key_at_the_same_moment_make_one_account(app: Flask, world: World) -> None:
    world.event()
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: post(app, "/register-invite-with-selfie", key, data=invitation()), range(4)))
    assert [answer.status_code for answer in found] == [201] * 4, [answer.text for answer in found]
    assert len({answer.json["access_token"] for answer in found}) == 1  # type: ignore[index]
    assert (guests(app), count(app, Selfie)) == (1, 1)


def test_a_key_serves_one_request_only(app: Flask, world: World) -> None:
    world.event()
    key = str(uuid.uuid4())
    post(app, "/register-with-event-code", key, json=registration())
    other = post(app, "/register-with-event-code", key, json=registration(email="eve@example.com", username="eve"))
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")  # type: ignore[index]
    guessed = post(app, "/register-with-event-code", key, json=registration(password="another password"))
    assert (guessed.status_code, guessed.json["code"]) == (409, "request_done")  # type: ignore[index]
    assert count(app, UserSession) == 1


def test_a_token_that_was_ended_does_not_come_back(app: Flask, world: World) -> None:
    world.event()
    key = str(uuid.uuid4())
    token = post(app, "/register-with-event-code", key, json=registration()).json["access_token"]  # type: ignore[index]
    assert Api(app, token).post("/logout").status_code == 204
    again = post(app, "/register-with-event-code", key, json=registration())
    assert (again.status_code, again.json["code"]) == (409, "request_done")  # type: ignore[index]


@pytest.mark.parametrize("key", ["", "short", "x" * 201, "ä" * 20])
def test_a_key_that_can_not_be_used_is_refused(app: Flask, world: World, key: str) -> None:
    world.event()
    answer = app.test_client().post(
        "/api/register-with-event-code",
        headers={"Idempotency-Key": key.encode().decode("latin-1")},
        json=registration(),
    )
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_invalid")  # type: ignore[index]
    assert guests(app) == 0


def test_a_selfie_that_a_client_sends_again_is_one(app: Flask, world: World) -> None:
    world.event()
    guest = Api(app).register("PARTY234")
    headers = {"Authorization": f"Bearer {guest.token}", "Idempotency-Key": str(uuid.uuid4())}
    for _ in range(2):
        data = {"file": (io.BytesIO(selfie("grace")), "me.jpg")}
        answer = app.test_client().post("/api/upload-selfie", headers=headers, data=data)
        assert (answer.status_code, answer.json) == (200, {"status": "received"})
    assert count(app, Selfie) == 1


def test_on_a_tablet_that_goes_round_another_name_is_another_guest(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    form = filled(browser)
    send_and_lose_the_answer(browser, form)
    other = form | {"name": "Bob", "email": "bob@example.com"}
    assert send(browser, other).location == PHOTOS
    assert browser.get("/api/me").json["name"] == "Bob"  # type: ignore[index]
    assert count(app, Selfie) == 2


def test_a_corrected_address_after_a_lost_answer_is_the_same_guest(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    form = filled(browser)
    send_and_lose_the_answer(browser, form)
    assert send(browser, form | {"name": "  ada", "email": "ada@corrected.example"}).location == PHOTOS
    assert (guests(app), count(app, Selfie)) == (1, 1)
