"""Joining without an address, and without a selfie; and the ways back that such guests have."""

import io
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, World, selfie
from tests.support.browsing import Browser, error_at, text
from webapp.db.extensions import db
from webapp.models import Consent, Mail, Membership, Photo, Selfie, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, disabling, ending_access
from webapp.services.core.consents import CONSENT_VERSION

JOIN, PHOTOS = "/e/PARTY234", "/e/PARTY234/photos"


def joined(app: Flask, *, picture: bool = True, **form: Any) -> Browser:
    browser = Browser(app)
    data = {"name": "Ada", "consent_version": CONSENT_VERSION} | form
    if picture:
        data |= {"consent": "y", "file": (io.BytesIO(selfie("grace")), "me.jpg")}
    answer = browser.submit(JOIN, data)
    assert answer.status_code == 303, text(answer)
    return browser


def share(app: Flask, event_photos: int = 1) -> None:
    with app.app_context(), unit_of_work():
        for photo in db.session.scalars(select(Photo).order_by(Photo.id).limit(event_photos)):
            photo.shown_to_all = True


def code_of(browser: Browser) -> str:
    page = browser.submit("/account/recovery")
    found = re.search(r'id="recovery-code"[^>]*>([^<]+)<', page.text)
    assert found, text(page)
    return found[1]


def test_a_guest_without_an_address_is_searched_for_and_told_what_can_be_lost(app: Flask, world: World) -> None:
    world.party(6)
    browser = joined(app, keep_here="y", email="typed@before.example")
    world.work()
    with app.app_context():
        user = db.session.scalars(select(User).where(User.name == "Ada")).one()
        assert (user.email, user.email_claimed_at) == (None, None)
        assert db.session.scalars(select(Mail)).all() == []
    page = text(browser.get(PHOTOS))
    assert "kept with this browser only" in page
    assert "/account/recovery" in page
    assert browser.get("/api/my-photos").json


def test_without_the_tick_an_address_is_asked_for(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    answer = browser.submit(JOIN, {"name": "Ada", "consent": "y", "consent_version": CONSENT_VERSION})
    assert answer.status_code == 422
    assert "e-mail address" in error_at(answer, "email")


def test_a_recovery_code_brings_the_guest_back_on_another_device_as_often_as_needed(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app, keep_here="y")
    code = code_of(browser)
    for typed in (code, code.lower().replace("-", " ")):
        other = Browser(app)
        shown = other.get(f"/back?code={code}")
        assert code in shown.text
        assert other.get("/api/me").status_code == 401, "looking changes nothing"
        answer = other.submit("/back", {"code": typed})
        assert (answer.status_code, answer.location) == (303, PHOTOS)
        assert other.get("/api/me").json["name"] == "Ada"  # type: ignore[index]
    assert browser.get(PHOTOS).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(Selfie)).one().retired_at is None


def test_a_wrong_code_an_old_code_and_no_code_open_nothing(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app, keep_here="y")
    old = code_of(browser)
    code_of(browser)
    for typed in (old, "AAAA-BBBB-CCCC-DDDD", "", "Ω" * 40):
        answer = Browser(app).submit("/back", {"code": typed})
        assert answer.status_code == 422, typed
        assert "No account has this code" in text(answer)


@pytest.mark.parametrize("end", ["proven", "disabled", "all"])
def test_a_code_ends(app: Flask, world: World, end: str) -> None:
    world.event()
    code = code_of(joined(app, keep_here="y"))
    with app.app_context(), unit_of_work():
        user = db.session.scalars(select(User).where(User.name == "Ada")).one()
        if end == "proven":
            user.email = "ada@example.com"
            assert accounts.prove(user)
        elif end == "disabled":
            disabling.disable(user.public_id, None)
        else:
            ending_access.end_all()
    assert Browser(app).submit("/back", {"code": code}).status_code == 422


def test_an_account_with_a_proven_address_gets_no_code(app: Flask, world: World) -> None:
    world.person("eve@example.com")
    browser = Browser(app).sign_in("eve@example.com", PASSWORD)
    assert "You need no code" in text(browser.get("/account/recovery"))
    answer = browser.submit("/account/recovery", page="/")
    assert answer.status_code == 409
    assert browser.get("/account/recovery").status_code == 200


# --- without a selfie ---


def test_without_a_selfie_one_sees_the_photos_that_are_shown_to_all_and_no_others(app: Flask, world: World) -> None:
    world.party(6)
    share(app, 2)
    assert "See the photos shown to all" in text(Browser(app).get(JOIN))
    browser = joined(app, picture=False, email="ada@example.com", without="y")
    with app.app_context():
        assert db.session.scalars(select(Selfie)).all() == []
        assert db.session.scalars(select(Consent)).all() == []
    assert "/e/PARTY234/shared" in browser.get(PHOTOS).text
    page = browser.get("/e/PARTY234/shared")
    found = re.findall(r'<li id="photo-(\w+)"', page.text)
    assert len(found) == 2
    one = browser.get(f"/e/PARTY234/shared/{found[0]}")
    assert "1 of 2" in text(one)
    assert found[1] in one.text
    with app.app_context():
        hidden = db.session.scalars(select(Photo.public_id).where(Photo.shown_to_all.is_(False))).all()
    for photo_id in hidden:
        assert browser.get(f"/e/PARTY234/shared/{photo_id}").status_code == 404
        assert browser.get(f"/e/PARTY234/photos/{photo_id}").status_code == 404


def test_a_photo_that_was_shared_and_is_hidden_again_is_gone(app: Flask, world: World) -> None:
    world.party(2)
    share(app, 1)
    browser = joined(app, picture=False, keep_here="y", without="y")
    (photo_id,) = re.findall(r'<li id="photo-(\w+)"', browser.get("/e/PARTY234/shared").text)
    with app.app_context(), unit_of_work():
        photo = db.session.scalars(select(Photo).where(Photo.public_id == photo_id)).one()
        photo.hidden_at = photo.created_at
    assert browser.get(f"/e/PARTY234/shared/{photo_id}").status_code == 404
    assert "No photo is shown to all yet" in text(browser.get("/e/PARTY234/shared"))
    assert browser.get(PHOTOS).status_code == 200
    assert "/shared" not in browser.get(PHOTOS).text


def test_who_is_not_admitted_sees_no_shared_photo(app: Flask, world: World) -> None:
    world.party(2)
    share(app, 2)
    with app.app_context(), unit_of_work():
        for event in db.session.scalars(select(Membership)).all():
            event.event.admits_guests = True
    browser = joined(app, picture=False, keep_here="y", without="y")
    assert re.findall(r'<li id="photo-', browser.get("/e/PARTY234/shared").text) == []
    with app.app_context():
        photo_id = db.session.scalars(select(Photo.public_id)).first()
    assert browser.get(f"/e/PARTY234/shared/{photo_id}").status_code == 404


@pytest.mark.parametrize("after", ["x", "2026-01-01~1", "2026-01-01T00:00:00+00:00~99999999999999999999", "~", "Ω~٣"])
def test_an_odd_cursor_shows_the_first_page(app: Flask, world: World, after: str) -> None:
    world.party(1)
    share(app, 1)
    browser = joined(app, picture=False, keep_here="y", without="y")
    page = browser.get("/e/PARTY234/shared", query_string={"after": after})
    assert page.status_code == 200
    assert 'id="photo-' in page.text


def test_the_photographer_reads_the_message_of_a_guest_without_a_selfie(app: Flask, world: World) -> None:
    world.event()
    assert "Ask the photographer" in text(Browser(app).get(JOIN))
    joined(app, picture=False, email="ada@example.com", without="y", note="  Blue <b>hat</b>,\n second row ")
    studio = Browser(app).sign_in("photographer@example.com", PASSWORD)
    with app.app_context():
        event_id = db.session.scalars(select(Membership)).first().event.public_id  # type: ignore[union-attr]
    page = studio.get(f"/studio/events/{event_id}/guests")
    assert "Blue &lt;b&gt;hat&lt;/b&gt;, second row" in page.text
    person = re.search(r"guests/(\w{16})", page.text)
    assert person
    one = text(studio.get(f"/studio/events/{event_id}/guests/{person[1]}"))
    assert "ada@example.com" in one


def test_a_message_that_is_too_long_is_refused_and_nothing_is_made(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    answer = browser.submit(JOIN, {"name": "Ada", "keep_here": "y", "without": "y", "note": "x" * 241})
    assert answer.status_code == 422
    assert "240 characters" in error_at(answer, "note")
    with app.app_context():
        assert db.session.scalars(select(User).where(User.name == "Ada")).all() == []


def test_a_selfie_can_be_added_later(app: Flask, world: World) -> None:
    world.party(6)
    browser = joined(app, picture=False, keep_here="y", without="y")
    data = {"consent": "y", "consent_version": CONSENT_VERSION, "file": (io.BytesIO(selfie("grace")), "me.jpg")}
    assert browser.submit("/e/PARTY234/selfie", data).status_code == 303
    world.work()
    assert browser.get("/api/my-photos").json


def test_a_browser_without_cookies_is_told_so(app: Flask, world: World) -> None:
    world.event()
    client = app.test_client(use_cookies=False)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(JOIN).text)
    assert token
    answer = client.post(JOIN, data={"csrf_token": token[1], "name": "Ada"}, headers={"HX-Request": "true"})
    assert answer.status_code == 400
    assert "sent no cookies" in text(answer)


def test_the_first_look_at_a_selfie_says_what_it_thinks_in_the_events_language(app: Flask, world: World) -> None:
    world.event()
    with app.app_context(), unit_of_work():
        db.session.scalars(select(Membership)).first().event.language = "fr"  # type: ignore[union-attr]
    browser = Browser(app)
    answer = browser.submit("/e/PARTY234/selfie-check", {"file": (io.BytesIO(b"no picture"), "me.jpg")}, page=JOIN)
    assert answer.json["valid"] is False  # type: ignore[index]
    assert "image" in answer.json["detail"]  # type: ignore[index]
    with app.app_context():
        assert db.session.scalars(select(Selfie)).all() == []
