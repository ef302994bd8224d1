"""What the attackers' and the owners' tests share."""

import pytest
from flask import Flask

from tests.attacks.suspects import OWNER, hand_in
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from webapp.settings import Settings


@pytest.fixture
def postbox(app: Flask, settings: Settings) -> Flask:
    """The app on a developer's machine without a mail server: mails are kept to be read."""
    app.extensions["settings"] = settings.model_copy(update={"environment": "development"})
    return app


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


@pytest.fixture
def owner(app: Flask, event_id: str) -> Browser:
    return Browser(app).sign_in(OWNER, PASSWORD)


@pytest.fixture
def guest(api: Api, world: World, event_id: str) -> Api:
    return api.register(world.code)


@pytest.fixture
def suspect(world: World, guest: Api, event_id: str) -> Api:
    """A guest who was found on photos as one person, and whose search was stopped by the third change of face."""
    world.add_photos(event_id, *photos_with("grace", 2), *photos_with("eileen", 2))
    for person in ("grace", "eileen", "grace"):
        hand_in(world, guest, selfie(person))
    return guest
