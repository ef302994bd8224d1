"""Seeing a photo by the event's cover after it was taken back.

A cover may be a copy of one of the photos, and whoever knows the event's code sees it, without joining. What must hold:
once a photo is hidden or unpublished, nobody sees it as the cover either, also when that happens while the cover is
made.
"""

import io
from typing import IO

import pytest
from flask import Flask
from sqlalchemy import select

from tests.attacks.suspects import OWNER
from tests.support.actors import World, photos_with
from tests.support.browsing import Browser
from webapp.db.extensions import db
from webapp.models import Event, User
from webapp.pictures import cover_process
from webapp.queueing import unit_of_work
from webapp.services.photos import photo_actions
from webapp.services.photos.photo_actions import Action, Selection


@pytest.fixture
def photo_ids(world: World, event_id: str) -> list[str | None]:
    found = world.add_photos(event_id, *photos_with("grace", 2))
    world.work()
    return found


def _act(browser: Browser, event_id: str, action: str, photo_id: str | None) -> None:
    photos = f"/studio/events/{event_id}/photos"
    answer = browser.submit(f"{photos}/actions", {"action": action, "ids": photo_id}, page=photos)
    assert answer.status_code == 303


def _owner() -> User:
    return db.session.scalars(select(User).where(User.email == OWNER)).one()


def _make_cover(browser: Browser, event_id: str, photo_id: str | None) -> int:
    settings = f"/studio/events/{event_id}/settings"
    return browser.submit(f"{settings}/cover", {"photo": photo_id}, page=settings).status_code


@pytest.mark.both_databases
@pytest.mark.parametrize("action", ["hide", "unpublish"])
def test_the_cover_goes_when_its_photo_is_taken_back(
    app: Flask, world: World, event_id: str, owner: Browser, photo_ids: list[str | None], action: str
) -> None:
    shown, other = photo_ids
    stranger = Browser(app)
    assert _make_cover(owner, event_id, shown) == 303
    _act(owner, event_id, action, other)
    assert stranger.get(f"/e/{world.code}/cover.jpg").status_code == 200
    assert stranger.get(f"/e/{world.code}/preview.jpg").status_code == 200
    _act(owner, event_id, action, shown)
    assert stranger.get(f"/e/{world.code}/cover.jpg").status_code == 404
    assert stranger.get(f"/e/{world.code}/preview.jpg").status_code == 404
    landing = stranger.get(f"/e/{world.code}").text
    assert "cover.jpg" not in landing and "preview.jpg" not in landing
    world.work()
    assert list(app.extensions["settings"].data_dir.rglob("cover/*.jpg")) == []


def test_a_photo_that_is_hidden_while_it_becomes_the_cover_does_not(
    app: Flask,
    world: World,
    event_id: str,
    owner: Browser,
    photo_ids: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    render, meant = cover_process.render, Selection(ids=(str(photo_ids[0]),))

    def render_late(stream: IO[bytes], max_megapixels: float) -> bytes:
        """The photo is hidden after it was read and before the cover is written down."""
        made = render(io.BytesIO(stream.read()), max_megapixels)
        with app.app_context(), unit_of_work():
            photo_actions.carry_out(db.session.scalars(select(Event)).one(), Action.HIDE, meant, _owner())
        return made

    monkeypatch.setattr(cover_process, "render", render_late)
    assert _make_cover(owner, event_id, photo_ids[0]) == 422
    assert Browser(app).get(f"/e/{world.code}/cover.jpg").status_code == 404
