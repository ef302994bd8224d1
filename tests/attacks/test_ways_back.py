"""Idempotency keys, recovery codes and sessions: what has ended must stay so, whatever is sent again or meanwhile.

A session that had just been ended was opened again by a repeated request to join, a recovery code that somebody else
had made outlived a change of password, and a key that was used again after a day was answered with 500.
"""

import io
import re
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update

from tests.attacks.identities import change, join, me, one
from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import Browser, text, value_of
from tests.support.concurrency import at_once, inside, meanwhile
from tests.support.limiting import limiting
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import IdempotencyKey, Membership, User, UserSession
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, ending_access, recovery_codes
from webapp.services.core import idempotency
from webapp.services.core.consents import CONSENT_VERSION
from webapp.services.joining import ready_mails
from webapp.settings import Settings
from webapp.tokens import token_hash

JOIN = "/e/PARTY234"
NEW = "another-long-secret"


def register(app: Flask, key: str, name: str = "ada", password: str = PASSWORD) -> Any:
    data = {"username": name, "email": f"{name}@example.com", "password": password}
    body = {"user_data": data, "event_code": "PARTY234", "consent": True}
    return app.test_client().post("/api/register-with-event-code", headers={"Idempotency-Key": key}, json=body)


def join_and_lose_the_answer(browser: Browser) -> None:
    page = browser.get(JOIN)
    before = browser.client.get_cookie("findme")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert before
    assert token
    form = {
        "csrf_token": token[1],
        "request_key": value_of(page, "request_key"),
        "name": "Ada",
        "keep_here": "y",
        "consent": "y",
        "consent_version": CONSENT_VERSION,
        "file": (io.BytesIO(selfie("grace")), "me.jpg"),
    }
    assert browser.client.post(JOIN, data=form).status_code == 303
    browser.client.set_cookie("findme", before.value)


def code_of(browser: Browser) -> str:
    page = browser.submit("/account/recovery")
    found = re.search(r'id="recovery-code"[^>]*>([^<]+)<', page.text)
    assert found, text(page)
    return found[1]


def unproven(app: Flask, world: World) -> Browser:
    """An account with a password, whose address nobody has proven."""
    world.event()
    world.person("ada@example.com")
    claimed = {"email_verified_at": None, "email_claimed_at": utcnow()}
    change(app, update(User).where(User.email == "ada@example.com").values(**claimed))
    return Browser(app).sign_in("ada@example.com", PASSWORD)


# --- keys ---


@pytest.mark.both_databases
@pytest.mark.parametrize("cleaned", [False, True])
def test_a_key_that_is_used_again_after_its_time_is_a_new_request(app: Flask, world: World, *, cleaned: bool) -> None:
    world.event()
    key = str(uuid.uuid4())
    first = register(app, key).json["access_token"]
    change(app, update(IdempotencyKey).values(created_at=utcnow() - idempotency.LIFETIME - timedelta(seconds=1)))
    if cleaned:
        change(app, delete(IdempotencyKey))
    second = register(app, key, "bob")
    assert second.status_code == 201, second.text
    for token, name in ((first, "ada"), (second.json["access_token"], "bob")):
        assert f"{name}@example.com" in Api(app, token).get("/me").text
    repeated = register(app, key, "bob")
    assert (repeated.status_code, repeated.json["code"]) == (409, "request_done")


def test_passwords_are_not_guessed_without_limit_by_repeating_a_registration(settings: Settings, world: World) -> None:
    world.event()
    key = str(uuid.uuid4())
    for app in limiting(settings):
        assert register(app, key).status_code == 201
        answers = [register(app, key, password=f"wrong password {number}").status_code for number in range(12)]
        assert answers[0] == 409
        assert answers[-1] == 429


# --- sessions that end while they are resumed ---


@pytest.mark.both_databases
def test_a_session_that_ends_while_it_is_resumed_stays_ended(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.event()
    browser = Browser(app)
    join_and_lose_the_answer(browser)
    user_of_token = accounts.user_of_token

    def slow(token: str, kind: str) -> User | None:
        found = user_of_token(token, kind)
        monkeypatch.setattr(accounts, "user_of_token", user_of_token)
        db.session.rollback()
        meanwhile(inside(app, lambda: change(app, delete(UserSession))))
        return found

    monkeypatch.setattr(accounts, "user_of_token", slow)
    assert browser.get(JOIN).status_code == 200
    assert one(app, select(func.count()).select_from(UserSession)) == 0
    assert me(browser) == {}
    assert browser.get(JOIN).status_code == 200


# --- recovery codes ---


def test_a_new_password_ends_the_recovery_code(app: Flask, world: World) -> None:
    owner = unproven(app, world)
    intruder = Browser(app).sign_in("ada@example.com", PASSWORD)
    code = code_of(intruder)
    answer = owner.submit("/account/password", {"current": PASSWORD, "password": NEW})
    assert answer.status_code == 303
    assert "recovery code has ended" in text(owner.get("/"))
    assert me(intruder) == {}
    assert Browser(app).submit("/back", {"code": code}).status_code == 422
    assert me(owner)


def test_a_strangers_code_costs_a_guest_no_account(app: Flask, world: World) -> None:
    world.event()
    guest, stranger = Browser(app), Browser(app)
    for browser, name in ((guest, "Ada"), (stranger, "Eve")):
        form = {"name": name, "keep_here": "y", "without": "y", "note": "Hello"}
        assert browser.submit(JOIN, form).status_code == 303
    code = code_of(stranger)
    answer = guest.submit("/back", {"code": code})
    assert answer.status_code == 422
    assert "signed in to another account" in text(answer)
    assert me(guest)["name"] == "Ada"
    assert guest.submit("/back", {"code": code_of(guest)}).status_code == 303
    assert me(guest)["name"] == "Ada"


@pytest.mark.parametrize("path", ["/mails/stop/{token}", "/mails/stop/unknown", "/sign-in", "/back", "/nothing-here"])
def test_another_sites_form_replaces_no_session(app: Flask, world: World, path: str) -> None:
    """Browsers send no cookie with it, as SameSite=Lax says, but keep the one that the answer to it brings."""
    world.event()
    join(app, "PARTY234", "Ada")
    with app.app_context():
        membership = db.session.scalars(select(Membership).join(User).where(User.name == "Ada")).one()
        path = path.format(token=ready_mails.stop_token(membership))
    for headers in ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = app.test_client().post(path, data={"List-Unsubscribe": "One-Click"}, headers=headers)
        assert not [cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith("findme=")]


@pytest.mark.both_databases
@pytest.mark.parametrize("ends", ["password", "everything"])
def test_a_code_that_ends_while_it_is_used_opens_nothing(app: Flask, world: World, ends: str) -> None:
    code = code_of(unproven(app, world))

    def end() -> int:
        with app.app_context(), unit_of_work():
            if ends == "everything":
                ending_access.end_all()
            else:
                user = db.session.scalars(select(User).where(User.email == "ada@example.com")).one()
                accounts.locked(user.id).recovery_hash = None
                db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))
        return 0

    for _ in range(6):
        change(app, update(User).where(User.email == "ada@example.com").values(recovery_hash=hash_of(code)))
        browser = Browser(app)
        form = {"csrf_token": browser.token("/back"), "code": code}
        at_once(end, partial(come_back, browser, form))
        assert one(app, select(User.recovery_hash).where(User.email == "ada@example.com")) is None
        assert one(app, select(func.count()).select_from(UserSession)) == 0


def come_back(browser: Browser, form: dict[str, str]) -> int:
    return browser.client.post("/back", data=form).status_code


def hash_of(code: str) -> str:
    return token_hash(recovery_codes.normalised(code))


@pytest.mark.both_databases
def test_a_code_holds_its_account_from_the_look_up_on(app: Flask, world: World) -> None:
    code = code_of(unproven(app, world))
    with app.app_context(), unit_of_work():
        recovery_codes.account_of(code)
        free = select(User.id).where(User.email == "ada@example.com").with_for_update(skip_locked=True)
        # SQLite has no such locks: its writers take turns anyway.
        if db.engine.dialect.name == "postgresql":
            assert meanwhile(inside(app, lambda: db.session.scalar(free))) is None
