"""A Redis that answers and refuses to write (it is read-only, or its memory is full) is treated as one that is away."""

import io
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import update

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.limiting import LOGINS, limiting
from tests.support.servers import REFUSALS, Valkey
from webapp.db.extensions import db
from webapp.models import Lease
from webapp.services.recovery import sweeper
from webapp.settings import Settings


@pytest.fixture
def limited(settings: Settings, world: World) -> Iterator[Flask]:
    """An app whose limits are on."""
    world.event()
    yield from limiting(settings)


@pytest.fixture(params=REFUSALS)
def refuse(request: pytest.FixtureRequest, redis_server: Valkey) -> Iterator[Callable[[], None]]:
    """Call it to let Redis refuse; it is well again after the test."""
    yield lambda: request.param(redis_server)
    redis_server.make_well()


def test_people_are_served_and_nothing_is_lost(
    app: Flask, api: Api, world: World, redis_server: Valkey, refuse: Callable[[], None]
) -> None:
    event_id = world.event()
    refuse()
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).json == {"status": "received"}
    owner = api.login("photographer@example.com")
    assert owner.upload_photos(event_id, *photos_with("grace", 2)).status_code == 200
    assert owner.post(f"/photographer/events/{event_id}/rematch").status_code == 202
    assert guest.get("/rematch-status").json["status"] == "queued"
    assert guest.post("/validate-selfie", data={"file": (io.BytesIO(selfie("grace")), "me.jpg")}).status_code == 202
    browser = Browser(app).sign_in("photographer@example.com", PASSWORD)
    for path in ("/studio/", f"/studio/events/{event_id}"):
        assert browser.get(path).status_code == 200
    redis_server.make_well()
    with app.app_context():
        db.session.execute(update(Lease).values(expires_at=Lease.last_run_at))
        db.session.commit()
        assert (sweeper.sweep() or 0) >= 3
    world.work()
    assert len(guest.photo_ids()) == 2


def test_readiness_says_so(app: Flask, redis_server: Valkey, refuse: Callable[[], None]) -> None:
    redis_server.client().sadd("rq:workers", "rq:worker:w")
    redis_server.client().hset("rq:worker:w", "birth", "now")
    client = app.test_client()
    assert client.get("/api/health/ready").json == {"status": "ready", "degraded": []}
    refuse()
    ready = client.get("/api/health/ready")
    assert ready.status_code == 200
    assert ready.json == {"status": "ready", "degraded": ["redis"]}


def test_guesses_are_limited_all_the_same(limited: Flask, refuse: Callable[[], None]) -> None:
    api = Api(limited)
    wrong = {"username": "ada@example.com", "password": "wrong"}
    answers = [api.post("/login", json=wrong).status_code for _ in range(LOGINS // 2)]
    refuse()
    answers += [api.post("/login", json=wrong).status_code for _ in range(LOGINS)]
    assert answers == [401] * LOGINS + [429] * (LOGINS // 2)
