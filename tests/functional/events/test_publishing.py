"""Photos that wait for approval: no guest hears of them before somebody publishes them."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.crowd import event_of, user_of
from webapp.db.extensions import db
from webapp.models import Event, Photo
from webapp.queueing import unit_of_work
from webapp.services.events import publishing


@pytest.fixture
def event_id(app: Flask, world: World) -> str:
    """An event whose photos need approval."""
    public_id = world.event()
    with app.app_context(), unit_of_work():
        event_of(public_id).approval = True
    return public_id


def test_guests_learn_of_photos_when_they_are_published(app: Flask, world: World, api: Api, event_id: str) -> None:
    photo_ids = world.add_photos(event_id, *photos_with("grace", 2))
    guest = api.register(world.code, "guest")
    guest.upload_selfie(selfie("grace"))
    world.work()
    browser = Browser(app).sign_in("guest", PASSWORD)
    assert guest.photo_ids() == []
    assert "photo-" not in browser.get("/e/PARTY234/photos").text.partition('id="grid"')[2]
    status = guest.get(f"/rematch-status?event_id={event_id}").json
    assert status is not None and not any(status.get(name) for name in ("photos_total", "found", "maybe")), status
    owner = Browser(app).sign_in("photographer@example.com", PASSWORD)
    path = f"/studio/events/{event_id}/photos"
    assert "Waiting for approval" in text(owner.get(path))
    owner.submit(f"{path}/actions", {"action": "publish", "ids": [photo_ids[0]]}, page=path)
    assert guest.photo_ids() == [photo_ids[0]]
    owner.submit(f"{path}/actions", {"action": "unpublish", "ids": [photo_ids[0]]}, page=path)
    assert guest.photo_ids() == []


def test_what_is_marked_for_all_is_said_to_be_where_it_can_be_seen(app: Flask, world: World, api: Api) -> None:
    event_id = world.event("OTHER234")
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    guest = api.register("OTHER234", "guest")
    world.work()
    browser = Browser(app).sign_in("guest", PASSWORD)
    owner = Browser(app).sign_in("photographer@example.com", PASSWORD)
    path = f"/studio/events/{event_id}/photos"

    def act(action: str) -> str:
        answer = owner.submit(f"{path}/actions", {"action": action, "ids": [photo_id]}, page=path, htmx=True)
        return " ".join(text(answer).split())

    def opens() -> bool:
        by_api = guest.get(f"/photo/{photo_id}").status_code == 200
        assert (browser.get(f"/media/photos/{photo_id}/preview").status_code == 200) is by_api
        assert bool(guest.get(f"/all-photos?event_id={event_id}").json) is by_api
        return by_api

    assert not opens()
    said = act("share")
    assert "Marked 1 photo for all guests." in said and "Every guest sees" not in said
    # As it says: no page of guests has it, while the file's link and the API serve it.
    assert "Guests have no page with these photos yet." in said
    assert photo_id not in browser.get("/e/OTHER234/photos").text
    assert browser.get(f"/e/OTHER234/photos/{photo_id}").status_code == 404
    assert opens()
    page = text(owner.get(f"{path}/{photo_id}"))
    assert "Marked for all" in page and "Guests have no page with these photos yet" in page
    act("hide")
    assert not opens()
    act("unhide")
    assert "1 photo is no longer marked for all guests." in act("unshare")
    assert not opens()


def test_everything_that_waits_is_published_when_no_approval_is_needed_any_more(
    app: Flask, world: World, event_id: str
) -> None:
    world.add_photos(event_id, *photos_with("grace", 2))
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        assert publishing.waiting_of(event) == 2
        assert publishing.publish_waiting(event, user_of("photographer@example.com")) == 2
        assert publishing.publish_waiting(event, user_of("photographer@example.com")) == 0
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Photo.published_at.is_(None))) == 0


def test_without_approval_a_photo_is_out_at_once(app: Flask, world: World) -> None:
    event_id = world.event("OTHER234")
    world.add_photos(event_id, *photos_with("grace", 1))
    with app.app_context():
        assert publishing.waiting_of(event_of(event_id)) == 0
