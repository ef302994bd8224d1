"""What goes wrong beside the work: Redis away or emptied, jobs run twice, leases that run out, a picture that kills."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import Api, World, demo_photos, photos_with, selfie
from tests.support.servers import Valkey
from webapp import queueing
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Face, Lease, Match, Person, Photo, PhotoStatus, Rendition, Selfie
from webapp.services.core import claims
from webapp.services.matching import matching
from webapp.services.photos import indexing
from webapp.services.recovery import sweeper
from webapp.services.selfies import judging

pytestmark = pytest.mark.both_databases


def sweep(app: Flask) -> int | None:
    """A sweep whose turn it is."""
    with app.app_context():
        db.session.execute(update(Lease).values(expires_at=utcnow() - timedelta(seconds=1)))
        db.session.commit()
        return sweeper.sweep()


@pytest.fixture
def redis_away(app: Flask) -> Callable[[], Callable[[], None]]:
    """Point the app at a socket where nobody listens; call the answer to bring Redis back."""

    def leave() -> Callable[[], None]:
        known = app.extensions["redis"]
        gone = app.extensions["settings"].model_copy(update={"redis_url": "unix:///nowhere/redis.sock"})
        app.extensions["redis"] = queueing.connect(gone)

        def back() -> None:
            app.extensions["redis"] = known

        return back

    return leave


def test_with_redis_away_people_are_served_and_the_sweeper_finds_their_rows(
    app: Flask, api: Api, world: World, redis_away: Callable[[], Callable[[], None]]
) -> None:
    event_id = world.event()
    back = redis_away()
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).json == {"status": "received"}
    owner = api.login("photographer@example.com")
    assert owner.upload_photos(event_id, *photos_with("grace", 2)).status_code == 200
    assert owner.post(f"/photographer/events/{event_id}/rematch").status_code == 202
    assert guest.get("/rematch-status").json["status"] == "queued"
    assert sweep(app) is None
    back()
    assert world.work() == 0
    assert (sweep(app) or 0) >= 3
    world.work()
    assert len(guest.photo_ids()) == 2


def test_redis_emptied_in_the_middle_loses_nothing(app: Flask, api: Api, world: World, redis_server: Valkey) -> None:
    event_id = world.event()
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.add_photos(event_id, *photos_with("grace", 4))
    world.work(limit=3)
    redis_server.client().flushall()
    assert world.work() == 0
    sweep(app)
    world.work()
    assert set(world.statuses().values()) == {"indexed"}
    assert len(guest.photo_ids()) == 4


def test_a_sweep_enqueues_nothing_twice(app: Flask, world: World) -> None:
    event_id = world.event()
    world.add_photos(event_id, *demo_photos(3))
    assert sweep(app) == 0


def test_only_one_of_two_sweepers_sweeps(app: Flask) -> None:
    with app.app_context():
        assert sweeper.sweep() == 0
        assert sweeper.sweep() is None


def test_jobs_that_run_twice_change_nothing(app: Flask, api: Api, world: World) -> None:
    guest = api.register(world.party(4) and world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()

    def facts() -> list[object]:
        with app.app_context():
            return [
                sorted(db.session.scalars(select(column)))
                for column in (Match.public_id, Face.id, Rendition.id, Photo.public_id, Selfie.public_id)
            ]

    before = facts()
    with app.app_context():
        photos = db.session.scalars(select(Photo.public_id)).all()
        people = db.session.scalars(select(Person.public_id)).all()
        taken = db.session.scalars(select(Selfie.public_id)).all()
        assert not any(indexing.index_photo(photo) for photo in photos)
        assert all(matching.match_person(person) is None for person in people)
        assert all(judging.check_selfie(one) is None for one in taken)
    assert facts() == before


def test_a_late_worker_whose_lease_has_run_out_writes_nothing(app: Flask, world: World) -> None:
    world.add_photos(world.event(), *demo_photos(1))
    with app.app_context():
        public_id = db.session.scalars(select(Photo.public_id)).one()
        ours = Photo.status.in_(indexing.WAITING)
        late = claims.claim(Photo, public_id, ours, status=PhotoStatus.INDEXING)
        assert late is not None
        task = indexing._load(public_id)
        work = indexing._process(task)
        with queueing.unit_of_work():
            db.session.execute(update(Photo).values(claim="another-worker.1"))
        indexing._record(task, late, work)
        photo = db.session.scalars(select(Photo)).one()
        assert (photo.status, photo.claim) == (PhotoStatus.INDEXING, "another-worker.1")
        assert db.session.scalars(select(Face)).all() == []


def test_a_transient_fault_is_tried_again_after_a_pause(app: Flask, world: World) -> None:
    world.add_photos(world.event(), *demo_photos(1))
    blobs = app.extensions["settings"].blobs_dir
    blobs.rename(blobs.with_name("away"))
    blobs.touch()  # The folder's place is taken: every access fails, as with a disk that was unmounted.
    world.work()
    with app.app_context():
        photo = db.session.scalars(select(Photo)).one()
        assert (photo.status, photo.retries) == (PhotoStatus.UPLOADED, 1)
        assert photo.retry_at is not None
        assert photo.retry_at > utcnow()
    blobs.unlink()
    blobs.with_name("away").rename(blobs)
    assert sweep(app) == 0
    with app.app_context():
        db.session.execute(update(Photo).values(retry_at=utcnow() - timedelta(seconds=1)))
        db.session.commit()
    assert sweep(app) == 1
    world.work()
    assert set(world.statuses().values()) == {"indexed"}


def test_the_same_bytes_twice_are_one_photo(api: Api, world: World) -> None:
    event_id = world.event()
    (name, content) = demo_photos(1)[0]
    owner = api.login("photographer@example.com")
    rows = owner.upload_photos(event_id, (name, content), ("again.jpg", content)).json["files"]
    assert [row["status"] for row in rows] == ["accepted", "duplicate"]
    assert rows[0]["id"] == rows[1]["id"]


def test_a_guest_never_waits_behind_photos(app: Flask, api: Api, world: World) -> None:
    event_id = world.party(4)
    world.add_photos(event_id, *demo_photos(12)[4:])
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work("selfies", "photos", "mail", "maintenance", limit=1)
    assert guest.get("/rematch-status").json["matches"] > 0
