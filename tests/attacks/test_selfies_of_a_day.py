"""Handing in selfies without end, or from files: five a guest and day, and marks for the photographer.

Whoever could send any number of selfies could try any number of faces, and a portrait from elsewhere comes as a file.
"""

import io
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from tests.attacks.phones import Phone
from tests.attacks.suspects import grey, hand_in
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, error_at, text
from tests.support.concurrency import at_once
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Consent,
    Membership,
    Person,
    Selfie,
    SelfieSource,
)
from webapp.queueing import unit_of_work

# --- five selfies a day ---


def refused_as_enough(answer: TestResponse) -> bool:
    return (answer.status_code, (answer.json or {}).get("code")) == (429, "selfies_enough")


def test_the_sixth_selfie_of_a_day_is_not_taken(app: Flask, world: World, guest: Api) -> None:
    for number in range(5):
        assert guest.upload_selfie(grey(), add=str(number % 2 == 1)).status_code == 200
    assert refused_as_enough(guest.upload_selfie(grey()))
    assert refused_as_enough(guest.upload_selfie(grey(), add="true"))
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Selfie)) == 5
        # What was refused left no picture behind.
        assert len([key for key in app.extensions["blobs"].keys("events/") if "/selfies/" in key]) == 5


def test_the_selfie_of_the_registration_counts(app: Flask, world: World, event_id: str) -> None:
    phone = Phone(app)
    token = phone.join(world.code, "ada", grey())
    assert [phone.selfie(token, grey()).status_code for _ in range(5)] == [200, 200, 200, 200, 429]


def test_pages_and_the_api_share_one_count(app: Flask, world: World, guest: Api) -> None:
    for _ in range(4):
        guest.upload_selfie(grey())
    browser = Browser(app).sign_in("ada", PASSWORD)
    page = f"/e/{world.code}/selfie"

    def send() -> TestResponse:
        return browser.submit(page, {"file": (io.BytesIO(grey()), "me.jpg")})

    assert send().status_code == 303
    answer = send()
    assert answer.status_code == 422
    assert "Nothing else has changed" in error_at(answer, "file")
    assert refused_as_enough(guest.upload_selfie(grey()))


def test_taking_consent_back_gives_no_selfies_back(world: World, guest: Api) -> None:
    for _ in range(5):
        assert guest.upload_selfie(grey(), consent="true").status_code == 200
        assert guest.post("/consent", json={"granted": False}).status_code == 200
    assert refused_as_enough(guest.upload_selfie(grey(), consent="true"))


def test_erasing_the_selfies_gives_none_back(world: World, guest: Api) -> None:
    for _ in range(5):
        assert guest.upload_selfie(grey()).status_code == 200
        assert guest.delete("/my-selfie").status_code == 200
    assert refused_as_enough(guest.upload_selfie(grey()))


def test_joining_again_with_the_known_selfie_gives_none_back(world: World, guest: Api) -> None:
    hand_in(world, guest, selfie("grace"))
    world.event("OTHER234")
    body = {"event_code": "OTHER234", "consent": True}
    for _ in range(5):
        assert guest.post("/join-event", json=body).json["selfie"] == {"status": "received"}  # type: ignore[index]
        guest.delete("/my-selfie")
    assert refused_as_enough(guest.post("/join-event", json=body))


@pytest.mark.both_databases
def test_of_many_at_once_five_are_taken(guest: Api) -> None:
    answers = at_once(*[lambda: guest.upload_selfie(grey()).status_code for _ in range(9)])
    assert sorted(answers) == [200] * 5 + [429] * 4


def test_the_sixth_says_when_it_may_come(guest: Api) -> None:
    *_, sixth = [guest.upload_selfie(grey()) for _ in range(6)]
    assert refused_as_enough(sixth)
    assert 23 * 3600 < int(sixth.headers["Retry-After"]) <= 24 * 3600


def test_the_next_day_brings_five_more(app: Flask, guest: Api) -> None:
    for _ in range(5):
        guest.upload_selfie(grey())
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(selfies_counted_since=utcnow() - timedelta(hours=24)))
    assert [guest.upload_selfie(grey()).status_code for _ in range(6)] == [200] * 5 + [429]


def test_a_clock_that_was_wrong_locks_nobody_out(app: Flask, guest: Api) -> None:
    for _ in range(5):
        guest.upload_selfie(grey())
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(selfies_counted_since=utcnow() + timedelta(days=400)))
    assert guest.upload_selfie(grey()).status_code == 200


def test_the_photographer_can_allow_five_more(app: Flask, owner: Browser, event_id: str, guest: Api) -> None:
    for _ in range(5):
        guest.upload_selfie(grey())
    with app.app_context():
        person = db.session.scalars(select(Person.public_id).where(Person.name == "ada")).one()
    page = f"/studio/events/{event_id}/guests/{person}"
    assert "5 of 5 selfies handed in today" in text(owner.get(page))
    assert owner.submit(f"{page}/selfies", page=page).status_code == 303
    assert [guest.upload_selfie(grey()).status_code for _ in range(6)] == [200] * 5 + [429]


# --- camera or file ---


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("camera", SelfieSource.CAMERA),
        ("file", SelfieSource.FILE),
        ("", SelfieSource.UNKNOWN),
        ("x" * 300, SelfieSource.UNKNOWN),
    ],
)
def test_pages_say_where_a_selfie_comes_from(app: Flask, world: World, guest: Api, said: str, kept: str) -> None:
    browser = Browser(app).sign_in("ada", PASSWORD)
    sent = {"file": (io.BytesIO(grey()), "me.jpg"), "source": said}
    assert browser.submit(f"/e/{world.code}/selfie", sent).status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Selfie.source)).one() is kept


def pages_of(app: Flask, owner: Browser, event_id: str) -> list[str]:
    """The list of guests, and the guest's own page."""
    with app.app_context():
        person = db.session.scalars(select(Person.public_id).where(Person.name == "ada")).one()
    guests = f"/studio/events/{event_id}/guests"
    return [text(owner.get(guests)), text(owner.get(f"{guests}/{person}"))]


def test_the_photographer_sees_every_selfie_that_is_searched_with(
    app: Flask, world: World, guest: Api, owner: Browser, event_id: str
) -> None:
    hand_in(world, guest, selfie("eileen"))
    hand_in(world, guest, selfie("grace"), add="true")
    with app.app_context():
        ids = db.session.scalars(select(Selfie.public_id)).all()
    assert len(ids) == 2
    for page in pages_of(app, owner, event_id):
        assert all(selfie_id in page for selfie_id in ids)


def test_a_selfie_from_a_file_is_marked_for_the_photographer(
    app: Flask, world: World, guest: Api, owner: Browser, event_id: str
) -> None:
    hand_in(world, guest, selfie("grace"), source="file")
    assert "Selfie from a file" in text(owner.get(f"/studio/events/{event_id}/guests"))
    hand_in(world, guest, selfie("grace"), source="camera", add="true")
    for page in pages_of(app, owner, event_id):
        assert "from a file" in page, "the first one is searched with as well"
    hand_in(world, guest, selfie("grace"), source="camera")
    assert "Selfie from a file" not in text(owner.get(f"/studio/events/{event_id}/guests"))
    assert guest.upload_selfie(selfie("grace"), source="moon").status_code == 422


# --- consent ---


def test_whoever_agreed_to_the_text_of_before_loses_nothing_and_is_asked_again(
    app: Flask, world: World, guest: Api, event_id: str
) -> None:
    world.add_photos(event_id, *photos_with("grace", 2))
    hand_in(world, guest, selfie("grace"))
    with app.app_context(), unit_of_work():
        db.session.execute(update(Consent).values(text_version="2026-11"))
    world.add_photos(event_id, *photos_with("grace", 4)[2:])
    world.work()
    assert len(guest.photo_ids()) == 4
    assert guest.upload_selfie(selfie("grace")).json["code"] == "consent_required"  # type: ignore[index]
    browser, page = Browser(app).sign_in("ada", PASSWORD), f"/e/{world.code}/selfie"
    shown = text(browser.get(page))
    assert "The photographer of this event sees my selfie." in shown
    assert "Stop looking for my face" in shown
    file = (io.BytesIO(selfie("grace")), "me.jpg")
    assert browser.submit(page, {"file": file}).status_code == 422
    assert len(guest.photo_ids()) == 4
    hand_in(world, guest, selfie("grace"), consent="true")
    assert len(guest.photo_ids()) == 4
