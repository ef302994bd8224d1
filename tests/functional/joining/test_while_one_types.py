"""What can change or be wrong between the landing page and the form that it sends."""

import io
import re

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import World, selfie
from tests.support.browsing import HTMX, Browser, error_at, text
from webapp.db.extensions import db
from webapp.models import Event, Membership, Selfie, User
from webapp.queueing import unit_of_work
from webapp.services.core.consents import CONSENT_VERSION
from webapp.services.events import closing, events

JOIN = "/e/PARTY234"


def filled() -> dict[str, object]:
    return {
        "name": "Ada",
        "email": "ada@example.com",
        "consent": "y",
        "consent_version": CONSENT_VERSION,
        "file": (io.BytesIO(selfie("grace")), "me.jpg"),
    }


def test_an_event_that_closes_while_one_types_says_so_and_makes_nothing(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    token = browser.token(JOIN)
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        closing.close(event, event.memberships[0].user)
    answer = browser.client.post(JOIN, data=filled() | {"csrf_token": token}, headers=HTMX)
    assert answer.status_code == 422
    assert "closed" in error_at(answer, "form")
    with app.app_context():
        assert db.session.scalars(select(User).where(User.name == "Ada")).all() == []
        assert db.session.scalars(select(Selfie)).all() == []


def test_an_event_whose_code_changes_while_one_types_is_not_found(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    token = browser.token(JOIN)
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        event.code, event.code_key = "OTHER234", events.normalise_code("OTHER234")
    answer = browser.client.post(JOIN, data=filled() | {"csrf_token": token}, headers=HTMX)
    assert answer.status_code == 404
    assert "code" in text(answer)


def test_a_consent_whose_text_has_changed_is_asked_again(app: Flask, world: World) -> None:
    world.event()
    answer = Browser(app).submit(JOIN, filled() | {"consent_version": "2020-01"}, htmx=True)
    assert answer.status_code == 422
    assert error_at(answer, "consent")


def test_the_sessions_cookie_is_counted_in_seconds_for_phones_whose_clock_is_ahead(app: Flask, world: World) -> None:
    world.event()
    answer = Browser(app).submit(JOIN, filled())
    (cookie,) = [value for value in answer.headers.getlist("Set-Cookie") if value.startswith("findme=")]
    assert re.search(r"; Max-Age=\d{6,}; Expires=", cookie)


@pytest.mark.parametrize(
    ("form", "wants"),
    [({"wants_mail": "y"}, True), ({}, False), ({"wants_mail": "y", "keep_here": "y"}, False)],
    ids=["asked for", "not asked for", "without an address"],
)
def test_mails_about_photos_go_only_to_who_ticked_the_box_and_has_an_address(
    app: Flask, world: World, form: dict[str, str], wants: bool
) -> None:
    world.event()
    assert Browser(app).submit(JOIN, filled() | form).status_code == 303
    with app.app_context():
        membership = db.session.scalars(select(Membership).join(User).where(User.name == "Ada")).one()
        assert membership.wants_mail is wants
