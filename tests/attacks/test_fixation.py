"""Sessions that an attacker knows, makes up or gives away.

An attacker plants a cookie in somebody's browser before they sign in, copies a cookie, changes one, signs one
themselves, or has somebody open a link that belongs to the attacker's account.

What must hold: the session after sign-in is one that no one had before. A cookie that this installation did not sign
is no cookie. Opening a link changes nobody's account. Rights are looked up with each request, not kept in a session.
"""

import base64
import json
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import update

from tests.attacks.mailbox import letters
from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser
from webapp.db.extensions import db
from webapp.models import User, UserRole
from webapp.queueing import unit_of_work
from webapp.web.access.sessions import INVITED

VICTIM, ATTACKER = "victim@example.com", "attacker@example.com"
COOKIE = "findme"


@pytest.fixture
def people(postbox: Flask, world: World) -> Flask:
    """The app with the victim, who is a photographer with an event, and the attacker."""
    world.event(owner=VICTIM)
    world.person(ATTACKER, UserRole.PHOTOGRAPHER)
    return postbox


def cookie_of(browser: Browser) -> str:
    found = browser.client.get_cookie(COOKIE)
    assert found is not None
    return str(found.value)


def with_cookie(app: Flask, value: str, name: str = COOKIE) -> Browser:
    """A browser in which somebody planted a cookie."""
    browser = Browser(app)
    browser.client.set_cookie(name, value)
    return browser


def who(browser: Browser) -> str | None:
    answer = browser.get("/api/me")
    return answer.json["email"] if answer.status_code == 200 else None  # type: ignore[index]


def kept(app: Flask, value: str) -> dict[str, Any]:
    """The content of a cookie, which is signed and not secret."""
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    return dict(serializer.loads(value))


def forge(app: Flask, content: dict[str, Any], secret: str) -> str:
    """A cookie as Flask writes it, signed with another secret."""
    interface = SecureCookieSessionInterface()
    options = {"key_derivation": interface.key_derivation, "digest_method": interface.digest_method}
    return str(
        URLSafeTimedSerializer(
            secret, salt=interface.salt, serializer=interface.serializer, signer_kwargs=options
        ).dumps(content)
    )


# --- planted cookies ---


def test_a_session_from_before_sign_in_is_worth_nothing_after_it(people: Flask) -> None:
    attacker = Browser(people)
    token = attacker.token("/sign-in")
    planted = cookie_of(attacker)
    victim = with_cookie(people, planted).sign_in(VICTIM, PASSWORD)
    assert who(victim) == VICTIM
    assert cookie_of(victim) != planted
    assert who(with_cookie(people, planted)) is None
    assert victim.client.post("/sign-out", data={"csrf_token": token}).status_code == 400, "the token is another one"
    assert who(victim) == VICTIM


def test_who_signs_in_over_a_planted_session_ends_it(people: Flask) -> None:
    attacker = Browser(people).sign_in(ATTACKER, PASSWORD)
    planted = cookie_of(attacker)
    victim = with_cookie(people, planted)
    signed_in = victim.submit("/sign-in", {"login": VICTIM, "password": PASSWORD}, page="/")
    assert signed_in.status_code == 303
    assert who(victim) == VICTIM
    assert who(attacker) is None
    assert who(with_cookie(people, planted)) is None


def test_only_three_things_stay_at_sign_in_and_none_of_them_gives_rights(people: Flask, world: World) -> None:
    attacker = Browser(people)
    attacker.submit("/", {"code": world.code})
    with attacker.client.session_transaction() as session:
        session.update(csrf_token="known", role="admin", _id="known", other="kept")
    victim = with_cookie(people, cookie_of(attacker)).sign_in(ATTACKER, PASSWORD)
    content = kept(people, cookie_of(victim))
    assert set(content) <= {"language", INVITED, "accounts", "_user_id", "_fresh", "_id", "_permanent", "csrf_token"}
    assert content.get("csrf_token") != "known"
    assert len(content[INVITED]) == 1, "the event whose code this browser gave"
    assert victim.get(f"/e/{world.code}/photos").headers["Location"] == f"/e/{world.code}", (
        "who knows the code has joined nothing"
    )


def test_accounts_of_a_browser_are_no_way_into_them(people: Flask) -> None:
    """The list of accounts that a browser was signed in to stays after signing out; whoever copies it is no one."""
    victim = Browser(people).sign_in(VICTIM, PASSWORD)
    victim.submit("/sign-out", page="/")
    left = cookie_of(victim)
    assert kept(people, left)["accounts"]
    assert who(with_cookie(people, left)) is None
    attacker = with_cookie(people, left).sign_in(ATTACKER, PASSWORD)
    assert who(attacker) == ATTACKER
    assert attacker.get("/account/others").text.count("<form") == Browser(people).sign_in(ATTACKER, PASSWORD).get(
        "/account/others"
    ).text.count("<form")


def test_signing_in_twice_gives_two_sessions_of_which_each_ends_alone(people: Flask) -> None:
    one, two = Browser(people).sign_in(VICTIM, PASSWORD), Browser(people).sign_in(VICTIM, PASSWORD)
    assert kept(people, cookie_of(one))["_user_id"] != kept(people, cookie_of(two))["_user_id"]
    one.submit("/sign-out", page="/")
    assert (who(one), who(two)) == (None, VICTIM)


# --- cookies that are made up ---


def test_a_cookie_that_was_changed_is_no_cookie(people: Flask) -> None:
    victim = Browser(people).sign_in(VICTIM, PASSWORD)
    value = cookie_of(victim)
    payload, moment, signature = value.rsplit(".", 2)
    content = kept(people, value)
    other = base64.urlsafe_b64encode(json.dumps(content | {"role": "admin"}).encode()).decode().rstrip("=")
    changed = [
        f"{other}.{moment}.{signature}",
        f"{payload}.{moment}.{signature[:-2]}",
        f"{payload}.{moment}.{signature[::-1]}",
        f"{payload}.{moment}.",
        f"{payload}.{moment}",
        f"{payload}.AAAAAA.{signature}",
        payload,
        value.swapcase(),
        f".{value}",
        "",
        ".",
        "..",
        "null",
        "{}",
        "%00",
        "x" * 4000,
        json.dumps(content),
        content["_user_id"],
    ]
    for made_up in changed:
        browser = with_cookie(people, made_up)
        assert browser.get("/").status_code == 200, made_up
        assert who(browser) is None, made_up
    assert who(with_cookie(people, value)) == VICTIM, "unchanged it is one"


def test_a_cookie_of_another_installation_is_no_cookie(people: Flask) -> None:
    content = kept(people, cookie_of(Browser(people).sign_in(VICTIM, PASSWORD)))
    assert who(with_cookie(people, forge(people, content, str(people.config["SECRET_KEY"])))) == VICTIM, "the control"
    for secret in ("", "dev", "secret", "another installation's secret", str(people.config["SECRET_KEY"])[:-1]):
        browser = with_cookie(people, forge(people, content, secret or " "))
        assert who(browser) is None, secret


@pytest.mark.parametrize("user_id", ["1", "2", None, "", VICTIM, "%", "x" * 3000])
def test_a_signed_cookie_names_a_session_and_never_an_account(people: Flask, user_id: object) -> None:
    """A row's key, an address or any other value that is no token of a session signs no one in."""
    secret = str(people.config["SECRET_KEY"])
    browser = with_cookie(people, forge(people, {"_user_id": user_id, "_fresh": True}, secret))
    assert browser.get("/").status_code == 200
    assert who(browser) is None


@pytest.mark.parametrize("name", ["remember_token", "session", "user_id", "_user_id", "access_token", "token"])
def test_no_other_cookie_signs_anyone_in(people: Flask, api: Api, name: str) -> None:
    with people.app_context():
        public_id = db.session.query(User).filter_by(email=VICTIM).one().public_id
    session = cookie_of(Browser(people).sign_in(VICTIM, PASSWORD))
    token = kept(people, session)["_user_id"]
    for value in ("1", public_id, VICTIM, token, api.login(VICTIM).token or "", session):
        assert who(with_cookie(people, value, name)) is None


def test_signing_in_leaves_no_cookie_but_the_session_and_the_device(people: Flask) -> None:
    browser = Browser(people)
    answer = browser.submit("/sign-in", {"login": VICTIM, "password": PASSWORD, "remember": "1", "remember_me": "on"})
    names = {cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie")}
    assert names <= {COOKIE, "device"}


def test_a_session_stands_in_no_address(people: Flask) -> None:
    session = cookie_of(Browser(people).sign_in(VICTIM, PASSWORD))
    token = kept(people, session)["_user_id"]
    for name in (COOKIE, "session", "sid", "token", "access_token", "remember_token"):
        for value in (session, token):
            assert Browser(people).get("/api/me", query_string={name: value}).status_code == 401


# --- links that are opened in another's browser ---


def test_an_attackers_link_signs_no_one_out_of_their_account(people: Flask, world: World) -> None:
    """Opening it changes nothing; using it takes a tap on a page that names the account."""
    Browser(people).submit("/sign-in/link", {"email": ATTACKER}, page="/sign-in")
    world.work()
    link = letters(people, ATTACKER)[-1].links[0]
    victim = Browser(people).sign_in(VICTIM, PASSWORD)
    for method in ("GET", "HEAD"):
        assert victim.client.open(link, method=method).status_code == 200
        assert who(victim) == VICTIM
    for headers in ({}, {"Origin": "https://evil.example"}):
        assert victim.client.post(link, headers=headers).status_code == 400
        assert who(victim) == VICTIM
    assert "attacker" in victim.get(link).text, "the page names the account"


def test_a_victims_link_gives_nothing_to_a_planted_session(people: Flask, world: World) -> None:
    """The victim taps their link in a browser with the attacker's cookie: the attacker's copy stays the attacker's."""
    attacker = Browser(people)
    attacker.get("/sign-in")
    planted = cookie_of(attacker)
    Browser(people).submit("/sign-in/link", {"email": VICTIM}, page="/sign-in")
    world.work()
    victim = with_cookie(people, planted)
    assert victim.submit(letters(people, VICTIM)[-1].links[0]).status_code == 303
    assert who(victim) == VICTIM
    assert who(with_cookie(people, planted)) is None


# --- rights ---


def test_a_session_keeps_no_rights(people: Flask) -> None:
    with people.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.email == VICTIM).values(role=UserRole.ADMIN))
    browser = Browser(people).sign_in(VICTIM, PASSWORD)
    assert browser.get("/admin/").status_code == 200
    with people.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.email == VICTIM).values(role=UserRole.GUEST))
    assert browser.get("/admin/").status_code == 404
    assert browser.get("/studio/events/new").status_code == 404
    with people.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.email == VICTIM).values(role=UserRole.PHOTOGRAPHER))
    assert browser.get("/studio/events/new").status_code == 200
