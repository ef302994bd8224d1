"""What a guest wants erased is gone: pictures, templates and matches, from the database and from the store."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.support.actors import Api, World, photos_with, selfie
from webapp.db.extensions import db
from webapp.models import Consent, Match, Selfie, SelfieVector


@pytest.fixture
def guest(api: Api, world: World) -> Api:
    """Somebody who was found on two photos."""
    world.add_photos(world.event(), *photos_with("grace", 2))
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).status_code == 200
    world.work()
    assert len(guest.photo_ids()) == 2
    return guest


def selfie_files(app: Flask) -> list[str]:
    return [key for key in app.extensions["blobs"].keys("events/") if "/selfies/" in key]


def rows(app: Flask) -> dict[str, int]:
    with app.app_context():
        return {
            model.__name__: db.session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Selfie, SelfieVector, Match)
        }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("DELETE", "/my-selfie", None), ("POST", "/consent", {"granted": False})],
    ids=["the selfie is deleted", "consent is taken back"],
)
def test_nothing_of_the_face_is_left(
    app: Flask, world: World, guest: Api, method: str, path: str, body: dict[str, bool] | None
) -> None:
    assert len(selfie_files(app)) == 2, "the picture and its small rendition"
    assert guest.call(method, path, json=body).status_code == 200
    assert guest.photo_ids() == []
    world.work()
    assert selfie_files(app) == []
    assert rows(app) == {"Selfie": 0, "SelfieVector": 0, "Match": 0}


def test_the_photos_stay_and_the_consent_says_when_it_ended(app: Flask, world: World, guest: Api) -> None:
    guest.post("/consent", json={"granted": False})
    world.work()
    assert len([key for key in app.extensions["blobs"].keys("events/") if key.endswith("/original.jpg")]) == 2
    with app.app_context():
        assert db.session.scalars(select(Consent)).one().withdrawn_at is not None
