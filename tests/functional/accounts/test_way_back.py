"""The way back to one's photos: signing in, links that are over, a gallery's address without a session, signing out."""

import io
import re

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.support.actors import PASSWORD, World, selfie
from tests.support.browsing import HTMX, Browser, text
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Mail, SignInLink, User, UserSession
from webapp.queueing import unit_of_work
from webapp.services.accounts import sign_in_links
from webapp.services.core.consents import CONSENT_VERSION

ADA = "ada@example.com"
GALLERY = ("photos", "photos/live", "photos/AAAAAAAAAAAAAAAA", "selfie")


def joined(app: Flask, email: str = ADA) -> Browser:
    """A guest who joined through the page, without a password."""
    browser = Browser(app)
    form = {"name": "Ada", "email": email, "consent": "y", "consent_version": CONSENT_VERSION}
    answer = browser.submit("/e/PARTY234", form | {"file": (io.BytesIO(selfie("grace")), "me.jpg")})
    assert answer.status_code == 303, text(answer)
    return browser


def change_ada(app: Flask, **values: object) -> None:
    with app.app_context():
        db.session.execute(update(User).where(User.email == ADA).values(**values))
        db.session.commit()


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/api/me").status_code == 200


def sessions(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(UserSession)) or 0


# --- the sign-in page ---


def test_the_link_by_mail_comes_before_the_password(app: Flask) -> None:
    page = Browser(app).get("/sign-in").text
    assert page.index('action="/sign-in/link"') < page.index('name="password"')
    assert 'href="/password/forgotten"' in page


def test_both_ways_to_sign_in_keep_where_to_go_on_to(app: Flask, world: World) -> None:
    world.person(ADA)
    path = "/sign-in?next=/account/address"
    browser = Browser(app)
    assert 'action="/sign-in/link?next=/account/address"' in browser.get(path).text
    asked = browser.submit("/sign-in/link?next=/account/address", {"email": ADA}, page=path)
    assert asked.headers["Location"] == path
    assert browser.submit(path, {"login": ADA, "password": PASSWORD}).headers["Location"] == "/account/address"


@pytest.mark.parametrize("foreign", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_asking_for_a_link_keeps_no_foreign_address(app: Flask, foreign: str) -> None:
    browser = Browser(app)
    token = browser.token("/sign-in")
    data = {"csrf_token": token, "email": ADA}
    answer = browser.client.post("/sign-in/link", query_string={"next": foreign}, data=data)
    assert answer.headers["Location"] == "/sign-in"


# --- links that are over ---


def test_used_expired_and_unknown_links_get_one_answer_with_a_way_to_a_new_one(app: Flask, world: World) -> None:
    world.person(ADA)
    with app.app_context(), unit_of_work():
        user = db.session.scalars(select(User).where(User.email == ADA)).one()
        used, expired = (f"/sign-in/{sign_in_links.new_token(user)}" for _ in range(2))
    assert Browser(app).submit(used).status_code == 303
    with app.app_context():
        db.session.execute(update(SignInLink).where(SignInLink.used_at.is_(None)).values(expires_at=utcnow()))
        db.session.commit()
    browser, answers = Browser(app), set()
    token = browser.token("/")
    for path in (used, expired, "/sign-in/unknown"):
        for answer in (browser.get(path), browser.client.post(path, data={"csrf_token": token})):
            assert answer.status_code == 404
            answers.add(
                re.sub(r'(name="csrf_token"[^>]*value="|"X-CSRFToken": ")[^"]*', "", answer.text).replace(path, "")
            )
    assert len(answers) == 1
    sent = browser.submit("/sign-in/link", {"email": ADA}, page="/sign-in/unknown")
    assert sent.status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Mail.kind)).all() == ["sign_in"]
    assert not is_signed_in(browser)


# --- a gallery's address without a place in the event ---


@pytest.mark.parametrize("page", GALLERY)
@pytest.mark.parametrize("who", ["signed out", "stranger"])
def test_a_gallerys_address_leads_others_to_the_landing_page_of_any_code(
    app: Flask, world: World, who: str, page: str
) -> None:
    world.event()
    world.person(ADA)
    browser = Browser(app) if who == "signed out" else Browser(app).sign_in(ADA, PASSWORD)
    for code in ("PARTY234", "NOPE9999"):
        answer = browser.get(f"/e/{code}/{page}?from=mail")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/e/{code}")
        polled = browser.get(f"/e/{code}/{page}", headers=HTMX)
        assert (polled.status_code, polled.headers["HX-Redirect"]) == (401, f"/e/{code}")
    assert browser.get("/e/PARTY234").status_code == 200
    assert browser.get("/e/NOPE9999").status_code == 404


def test_a_member_who_asks_for_a_photo_that_is_not_theirs_gets_404(app: Flask, world: World) -> None:
    world.event()
    assert joined(app).get("/e/PARTY234/photos/AAAAAAAAAAAAAAAA").status_code == 404


def test_writes_to_a_gallery_still_ask_to_sign_in(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    token = browser.token("/")
    answer = browser.client.post("/e/PARTY234/selfie", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")


# --- signing out ---


def test_signing_out_without_a_way_back_is_confirmed_first(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app)
    warned = browser.submit("/sign-out", page="/")
    assert warned.status_code == 200
    assert "lose the way back" in warned.text
    assert "/account/address" in warned.text
    assert is_signed_in(browser)
    assert browser.submit("/sign-out", {"confirmed": "y"}, page="/").status_code == 303
    assert not is_signed_in(browser)
    assert sessions(app) == 0


@pytest.mark.parametrize("way", ["username and password", "proven address"])
def test_accounts_with_a_way_back_are_signed_out_at_once(app: Flask, world: World, way: str) -> None:
    world.person(ADA)
    browser = Browser(app).sign_in(ADA, PASSWORD)
    named = {"email_verified_at": None, "username": "ada", "username_key": "ada"}
    change_ada(app, **(named if way == "username and password" else {"password_hash": None}))
    assert browser.submit("/sign-out", page="/").status_code == 303
    assert not is_signed_in(browser)


@pytest.mark.parametrize("email", [None, ADA], ids=["no address", "an address that is dropped soon"])
def test_a_password_without_anything_to_type_it_with_is_no_way_back(
    app: Flask, world: World, email: str | None
) -> None:
    world.person(ADA)
    browser = Browser(app).sign_in(ADA, PASSWORD)
    change_ada(app, email=email, email_verified_at=None, username=None, username_key=None)
    assert browser.submit("/sign-out", page="/").status_code == 200
    assert is_signed_in(browser)


def test_signing_out_is_harmless_for_those_who_are_not_signed_in(app: Flask, world: World) -> None:
    assert Browser(app).submit("/sign-out", page="/").status_code == 303
    world.event()
    browser = joined(app)
    token = browser.token("/")
    change_ada(app, disabled_at=utcnow())
    assert browser.client.post("/sign-out", data={"csrf_token": token}).status_code == 303


# --- nothing here ---


def test_the_page_of_what_is_not_there_takes_an_events_code(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    lost = browser.get("/nothing-here")
    assert lost.status_code == 404
    assert '<form class="code-form" method="post" action="/">' in lost.text
    found = browser.submit("/", {"code": "PARTY234"}, page="/nothing-here")
    assert found.headers["Location"] == "/e/PARTY234"


def test_a_fragment_of_what_is_not_there_has_no_form(app: Flask) -> None:
    assert "<form" not in Browser(app).get("/nothing-here", headers=HTMX).text
