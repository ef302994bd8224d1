"""Two further looks after joining: offered, taken one by one, and left out."""

import io

from flask import Flask
from PIL import Image
from sqlalchemy import select

from tests.support.actors import World, selfie
from tests.support.browsing import Browser, text
from webapp.db.extensions import db
from webapp.models import Selfie, SelfieStatus
from webapp.services.core.consents import CONSENT_VERSION

PHOTOS, ANGLES = "/e/PARTY234/photos", "/e/PARTY234/angles"


def joined(app: Flask, **form: object) -> Browser:
    browser = Browser(app)
    data = {"name": "Ada", "email": "ada@example.com", "consent": "y", "consent_version": CONSENT_VERSION}
    picture = {"file": (io.BytesIO(selfie("grace")), "me.jpg")}
    assert browser.submit("/e/PARTY234", data | picture | form).status_code == 303
    return browser


def look(browser: Browser, side: str) -> tuple[int, str | None]:
    answer = browser.submit(ANGLES, {"angle": side, "file": (io.BytesIO(selfie("grace")), "me.jpg")})
    return answer.status_code, answer.location


def angles(app: Flask) -> list[tuple[str, bool, str]]:
    with app.app_context():
        return [(row.angle, row.adds, row.status) for row in db.session.scalars(select(Selfie).order_by(Selfie.id))]


def test_two_looks_are_offered_and_taken_beside_the_selfie(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app)
    assert ANGLES in browser.get(PHOTOS).text
    page = text(browser.get(ANGLES))
    assert "Step 1 of 2" in page
    assert "to the left" in page
    assert look(browser, "left") == (303, ANGLES)
    page = text(browser.get(ANGLES))
    assert "Step 2 of 2" in page
    assert "to the right" in page
    assert look(browser, "right") == (303, PHOTOS)
    assert "Both looks are taken" in text(browser.get(PHOTOS))
    assert ANGLES not in browser.get(PHOTOS).text
    assert browser.get(ANGLES).location == PHOTOS
    world.work()
    accepted = SelfieStatus.ACCEPTED
    assert angles(app) == [("front", False, accepted), ("left", True, accepted), ("right", True, accepted)]


def test_who_skips_them_is_not_asked_again_and_can_still_add_them(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app)
    assert browser.submit(f"{ANGLES}/skip", page=PHOTOS).location == PHOTOS
    assert ANGLES not in browser.get(PHOTOS).text
    assert browser.get(ANGLES).status_code == 200


def test_a_look_that_is_refused_says_why_and_can_be_skipped(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app)
    grey = io.BytesIO()
    Image.new("RGB", (900, 900), (120, 125, 130)).save(grey, "JPEG")
    answer = browser.submit(ANGLES, {"angle": "left", "file": (io.BytesIO(grey.getvalue()), "me.jpg")})
    assert answer.status_code == 303
    world.work()
    page = text(browser.get(ANGLES))
    assert "Step 1 of 2" in page
    assert "couldn't find a face" in page
    assert f'href="{ANGLES}?side=right"' in page
    page = text(browser.get(f"{ANGLES}?side=right"))
    assert "Step 2 of 2" in page
    assert "couldn't find a face" not in page


def test_without_a_selfie_from_the_front_none_are_offered(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app, without="y", file=(io.BytesIO(b""), ""))
    assert ANGLES not in browser.get(PHOTOS).text
    assert browser.get(ANGLES).location == PHOTOS


def test_an_odd_angle_and_a_missing_picture_are_refused(app: Flask, world: World) -> None:
    world.event()
    browser = joined(app)
    for side in ("front", "up", ""):
        status, _ = look(browser, side)
        assert status == 422, side
    assert browser.submit(ANGLES, {"angle": "left"}).status_code == 422
    assert [angle for angle, *_ in angles(app)] == ["front"]
