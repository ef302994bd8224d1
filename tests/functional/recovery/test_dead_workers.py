"""What the death of a job's process means for the row that it had: its own fault, or an interruption from outside."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import select, true, update

from tests.support.actors import Api, World, demo_photos, selfie
from tests.support.crowd import event_of
from webapp import queueing
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Lease, Person, Photo, PhotoStatus, Removal, Selfie, SelfieStatus
from webapp.queueing import INDEX_PHOTO, JobKind, unit_of_work
from webapp.services.core import claims, deletion_outbox
from webapp.services.core.claims import DEATH_PAUSES, MAX_CRASHES, MAX_INTERRUPTIONS, Death
from webapp.services.photos import indexing
from webapp.services.recovery import dead_workers, sweeper
from webapp.services.selfies import selfie_intake

pytestmark = pytest.mark.both_databases


@pytest.fixture
def event_id(world: World) -> str:
    event_id = world.event()
    world.add_photos(event_id, *demo_photos(1))
    return event_id


def waits(model: type[Any]) -> Any:
    match model.__name__:
        case "Photo":
            return Photo.status.in_(indexing.WAITING)
        case "Selfie":
            return Selfie.status.in_(selfie_intake.WAITING)
    return Person.match_wanted != Person.match_done


def row(model: type[Any] = Photo) -> Any:
    """The newest row of its kind, read anew."""
    db.session.rollback()
    return db.session.scalars(select(model).order_by(model.id.desc()).limit(1)).one()


def take(model: type[Any] = Photo) -> str | None:
    """Claim the row, as a job does before it begins."""
    return claims.claim(model, row(model).public_id, waits(model))


def die(death: Death, model: type[Any] = Photo) -> None:
    """A process takes the row and dies; its pause is over at once."""
    assert take(model)
    dead_workers.record_deaths([claims.worker_name()], death)
    end_pause(model)


def end_pause(model: type[Any]) -> None:
    with unit_of_work():
        db.session.execute(update(model).values(retry_at=None))


def sweep() -> int | None:
    """A sweep whose turn it is."""
    with unit_of_work():
        db.session.execute(update(Lease).values(expires_at=utcnow() - timedelta(seconds=1)))
    return sweeper.sweep()


def job_of(kind: JobKind, key: str) -> Job:
    return Job.fetch(kind.job_id(key), connection=queueing.connection(), serializer=JSONSerializer)


def test_a_picture_that_kills_its_process_three_times_is_set_aside(
    app: Flask, api: Api, world: World, event_id: str
) -> None:
    with app.app_context():
        for _ in range(MAX_CRASHES):
            die(Death.CRASH)
    world.work()
    (found,) = api.login("photographer@example.com").get(f"/photographer/events/{event_id}/photos").json
    assert (found["status"], found["reason"]) == ("failed", "crashed")
    assert found["detail"]


def test_interruptions_are_no_fault_of_the_picture(app: Flask, world: World, event_id: str) -> None:
    with app.app_context():
        for _ in range(MAX_INTERRUPTIONS - 2):
            die(Death.INTERRUPTION)
    world.work()
    assert set(world.statuses().values()) == {"indexed"}
    with app.app_context():
        assert (row().crashes, row().interruptions) == (0, 0)


def test_so_many_interruptions_are_no_chance_any_more(app: Flask, api: Api, world: World, event_id: str) -> None:
    with app.app_context():
        for _ in range(MAX_INTERRUPTIONS):
            die(Death.INTERRUPTION)
    world.work()
    (found,) = api.login("photographer@example.com").get(f"/photographer/events/{event_id}/photos").json
    assert (found["status"], found["reason"]) == ("failed", "interrupted")
    assert found["detail"]


def test_a_try_that_was_never_begun_counts_for_nothing(app: Flask, event_id: str) -> None:
    with app.app_context():
        dead_workers.record_deaths([claims.worker_name()], Death.CRASH)
        assert (row().crashes, row().interruptions) == (0, 0)
        assert take()
        assert (row().crashes, row().interruptions) == (0, 0)


def test_a_claim_whose_worker_vanished_unseen_is_an_interruption(app: Flask, event_id: str) -> None:
    with app.app_context():
        assert take()
        with unit_of_work():
            db.session.execute(update(Photo).values(claim="vanished.1", lease_expires_at=utcnow()))
        assert take()
        assert (row().crashes, row().interruptions) == (0, 1)


def test_the_pause_grows_with_each_death(app: Flask, event_id: str) -> None:
    pauses = []
    with app.app_context():
        for _ in range(len(DEATH_PAUSES) + 1):
            assert take()
            before = utcnow()
            dead_workers.release_claims([claims.worker_name()])
            paused_until = row().retry_at
            pauses.append(round((paused_until - before).total_seconds()) if paused_until else 0)
            end_pause(Photo)
    assert pauses == [*DEATH_PAUSES, DEATH_PAUSES[-1]]
    assert pauses == sorted(pauses)


def test_nobody_takes_it_during_the_pause(app: Flask, event_id: str) -> None:
    with app.app_context():
        die(Death.INTERRUPTION)
        assert take()
        dead_workers.release_claims([claims.worker_name()])
        assert take() is None


def test_after_the_first_interruption_it_is_enqueued_at_once(app: Flask, event_id: str) -> None:
    with app.app_context():
        assert take()
        queueing.connection().flushall()
        dead_workers.release_claims([claims.worker_name()])
        assert queueing.queue("photos").get_job_ids() == [INDEX_PHOTO.job_id(row().public_id)]


@pytest.mark.parametrize(
    ("death", "times"), [(Death.CRASH, MAX_CRASHES - 1), (Death.INTERRUPTION, MAX_INTERRUPTIONS - 1)]
)
def test_a_suspect_is_tried_once_more_alone_at_the_end_of_the_queue(
    app: Flask, world: World, event_id: str, death: Death, times: int
) -> None:
    with app.app_context():
        for _ in range(times):
            die(death)
        suspect = row().public_id
    # Its ordinary job, which still waits, does not touch it any more.
    world.work()
    assert set(world.statuses().values()) == {"uploaded"}
    world.add_photos(event_id, *demo_photos(3)[1:])
    with app.app_context():
        assert sweep() == 1
        assert queueing.queue("photos").get_job_ids()[-1] == INDEX_PHOTO.job_id(suspect)
        assert job_of(INDEX_PHOTO, suspect).meta["alone"]
    world.work()
    assert set(world.statuses().values()) == {"indexed"}


def test_two_suspects_are_never_on_their_way_together(app: Flask, world: World, event_id: str) -> None:
    world.add_photos(event_id, *demo_photos(2)[1:])
    with app.app_context():
        queueing.connection().flushall()
        with unit_of_work():
            db.session.execute(update(Photo).values(crashes=MAX_CRASHES - 1))
        assert [sweep(), sweep()] == [1, 0]
        queue: Queue = queueing.queue("photos")
        assert len(queue.get_job_ids()) == 1
    world.work()
    with app.app_context():
        assert [sweep(), sweep()] == [1, 0]
    world.work()
    assert set(world.statuses().values()) == {"indexed"}


def test_no_suspect_is_enqueued_while_another_one_is_being_tried(app: Flask, world: World, event_id: str) -> None:
    world.add_photos(event_id, *demo_photos(2)[1:])
    with app.app_context():
        queueing.connection().flushall()
        with unit_of_work():
            db.session.execute(update(Photo).values(crashes=MAX_CRASHES - 1))
        assert sweep() == 1
        (job_id,) = queueing.queue("photos").get_job_ids()
        running = db.session.scalars(select(Photo).where(Photo.public_id == job_id.partition("-")[2])).one()
        assert claims.claim(Photo, running.public_id, waits(Photo))
        assert sweep() == 0


def test_a_suspect_person_has_one_job_however_often_they_are_marked(app: Flask, api: Api, world: World) -> None:
    world.party(4)
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    with app.app_context():
        for _ in range(3):
            with unit_of_work():
                db.session.execute(
                    update(Person)
                    .where(Person.id == row(Person).id)
                    .values(match_wanted=Person.match_wanted + 1, crashes=MAX_CRASHES - 1)
                )
            sweep()
        assert len(queueing.queue("maintenance").get_job_ids()) == 1


def test_a_removal_that_kills_is_tried_for_ever_with_growing_pauses(app: Flask, event_id: str) -> None:
    with app.app_context():
        with unit_of_work():
            deletion_outbox.remove_blobs(event_of(event_id).public_id, ["events/x/nothing.jpg"])
        pauses = []
        for _ in range(5):
            assert claims.claim(Removal, row(Removal).public_id, true())
            before = utcnow()
            dead_workers.record_deaths([claims.worker_name()], Death.CRASH)
            paused = row(Removal).retry_at
            pauses.append(round((paused - before).total_seconds()) if paused else 0)
            end_pause(Removal)
        assert pauses == list(DEATH_PAUSES[:5])


def test_a_selfie_that_was_interrupted_finds_its_photos_all_the_same(app: Flask, api: Api, world: World) -> None:
    world.party(4)
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    with app.app_context():
        for _ in range(MAX_CRASHES + 1):
            die(Death.INTERRUPTION, Selfie)
    world.work()
    assert guest.get("/rematch-status").json["matches"] > 0


def test_a_selfie_that_crashes_three_times_is_set_aside_with_its_reason(app: Flask, api: Api, world: World) -> None:
    world.event()
    api.register(world.code).upload_selfie(selfie("grace"))
    with app.app_context():
        for _ in range(MAX_CRASHES):
            die(Death.CRASH, Selfie)
    world.work()
    with app.app_context():
        assert (row(Selfie).status, row(Selfie).reason) == (SelfieStatus.FAILED, "crashed")


def test_a_person_whose_search_was_interrupted_is_searched_all_the_same(app: Flask, api: Api, world: World) -> None:
    event_id = world.party(4)
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    api.login("photographer@example.com").post(f"/photographer/events/{event_id}/rematch")
    world.work(limit=1)  # it marks everybody
    with app.app_context():
        for _ in range(MAX_CRASHES + 1):
            die(Death.INTERRUPTION, Person)
    world.work()
    assert guest.get("/rematch-status").json["status"] == "done"
    with app.app_context():
        assert not row(Person).match_failed


def test_whoever_hands_a_photo_in_again_starts_from_nothing(app: Flask, api: Api, world: World, event_id: str) -> None:
    with app.app_context():
        for _ in range(MAX_CRASHES):
            die(Death.CRASH)
    world.work()
    owner = api.login("photographer@example.com")
    owner.upload_photos(event_id, *demo_photos(1))
    with app.app_context():
        assert (row().status, row().crashes) == (PhotoStatus.UPLOADED, 0)
    world.work()
    assert set(world.statuses().values()) == {"indexed"}
