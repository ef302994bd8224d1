"""What goes wrong at the worst moment where a service keeps the faces: nothing stays there that nobody knows of, nobody
loses a photo, and nothing waits or costs for ever.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select

from tests.cloud.rekognition import RekognitionServer, collection_operations
from tests.support.actors import Api, World, photos_with, photos_without, selfie
from tests.support.concurrency import meanwhile
from tests.support.hosted_faces import (
    a_guest,
    app,
    cloud,
    collection,
    kept_ids,
    let_time_pass,
    one,
    rows,
    service,
    settings,
)
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.faces.core import boxes
from webapp.faces.core.protocols import Box, DetectedFace
from webapp.models import (
    Alarm,
    ConfirmedVector,
    Event,
    Face,
    Person,
    Photo,
    PhotoStatus,
    Removal,
    Rendition,
    RenditionKind,
    Selfie,
    SelfieVector,
)
from webapp.pictures import crops
from webapp.queueing import unit_of_work
from webapp.services.core import deletion_outbox
from webapp.services.erasure import event_erasure, photo_erasure, selfie_erasure
from webapp.services.matching import comparing, hosted_person, hosted_search, matching, reconciling
from webapp.services.photos import indexing
from webapp.services.selfies import judging
from webapp.services.upkeep import usage

__all__ = ["app", "cloud", "service", "settings"]

Act = Callable[[], Any]


def just_before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, act: Act) -> None:
    """Let somebody else do something, once, when a worker is about to call this."""
    original, waiting = getattr(owner, name), [act]

    def call(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            meanwhile(waiting.pop())
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


def engine_of(app: Flask) -> Any:
    return app.extensions["face_engines"]["rekognition"]


def erase_photo(app: Flask, public_id: str | None) -> None:
    with app.app_context(), unit_of_work():
        photo_erasure.erase_photo(db.session.scalars(select(Photo).where(Photo.public_id == public_id)).one(), None)


def erase_event(app: Flask, event_id: str) -> None:
    """The event, and what its removals name, at once."""
    with app.app_context():
        with unit_of_work():
            event_erasure.erase_event(db.session.scalars(select(Event).where(Event.public_id == event_id)).one(), None)
        with reading():
            waiting = list(db.session.scalars(select(Removal.public_id)))
        for public_id in waiting:
            deletion_outbox.carry_out(public_id)


def erase_selfies(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        for person in db.session.scalars(select(Person).join(Selfie).distinct()).all():
            selfie_erasure.erase_selfies(person)


def request_reconciliation(app: Flask, event_id: str) -> None:
    with app.app_context():
        reconciling.request(event_id)


def rematch(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        matching.request_rematch(event, event.memberships[0].user)


def limit(app: Flask, calls: int) -> None:
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        usage.set_limit(event, calls, event.memberships[0].user)


def until_quiet(world: World, app: Flask, rounds: int = 3) -> None:
    for _ in range(rounds):
        world.work()
        let_time_pass(app)
    world.work()


def confirm_first(guest: Api) -> dict[str, Any]:
    first: dict[str, Any] = guest.get("/my-photos").json[0]  # type: ignore[index]
    assert guest.post(f"/matches/{first['match_id']}", json={"verdict": "confirmed"}).status_code == 200
    return first


# --- what is erased is gone at the service as well


def test_a_photo_erased_before_its_faces_are_written_down_leaves_none(
    world: World, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    (photo,) = world.add_photos(event_id, *photos_with("grace", 1))
    just_before(monkeypatch, indexing, "_record", lambda: erase_photo(app, photo))
    until_quiet(world, app)
    assert kept_ids(service, event_id, "photos") == set()
    assert list(app.extensions["blobs"].keys("events/")) == []


def test_a_photo_erased_after_an_answer_was_lost_leaves_no_face(
    world: World, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    service.faults.lose("IndexFaces", times=1)
    (photo,) = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    assert kept_ids(service, event_id, "photos")
    erase_photo(app, photo)
    until_quiet(world, app)
    assert kept_ids(service, event_id, "photos") == set()
    assert rows(app, Removal) == 0


def test_erasing_one_photo_leaves_the_faces_of_another(world: World, app: Flask, service: RekognitionServer) -> None:
    event_id = world.event()
    other, photo = world.add_photos(event_id, *photos_with("grace", 2))
    with app.app_context():
        assert indexing.index_photo(str(other))
    kept = kept_ids(service, event_id, "photos")
    erase_photo(app, photo)
    until_quiet(world, app)
    assert kept and kept_ids(service, event_id, "photos") == kept


def test_a_confirmed_face_goes_with_its_photo(world: World, api: Api, app: Flask, service: RekognitionServer) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    first = confirm_first(guest)
    world.work()
    assert len(kept_ids(service, event_id, "guests")) == 2
    erase_photo(app, first["id"])
    until_quiet(world, app)
    assert len(kept_ids(service, event_id, "guests")) == 1
    assert collection(service, event_id, "guests")["users"] == {}


def test_a_selfie_erased_after_an_answer_was_lost_leaves_no_face(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    service.faults.lose("IndexFaces", times=1)
    guest = a_guest(world, api)
    world.work()
    assert kept_ids(service, event_id, "guests")
    assert guest.delete("/my-selfie").status_code == 200
    until_quiet(world, app)
    assert kept_ids(service, event_id, "guests") == set()


def test_a_selfie_erased_while_its_answer_is_lost_leaves_no_face(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    a_guest(world, api)
    service.faults.lose("IndexFaces", times=1)
    just_before(monkeypatch, judging, "_try_later", lambda: erase_selfies(app))
    until_quiet(world, app)
    assert kept_ids(service, event_id, "guests") == set()


@pytest.mark.parametrize("operation", ["CreateUser", "AssociateFaces"])
def test_a_user_vector_that_was_never_finished_goes_with_its_person(
    world: World, api: Api, app: Flask, service: RekognitionServer, operation: str
) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    world.work()
    guest.upload_selfie(selfie("grace"), add="true")
    service.faults.lose(operation, times=None)
    world.work()
    assert collection(service, event_id, "guests")["users"]
    service.faults.calm()
    guest.delete("/my-selfie")
    until_quiet(world, app)
    guests = collection(service, event_id, "guests")
    assert (guests["faces"], guests["users"]) == ({}, {})


@pytest.mark.parametrize("fault", ["none", "lost"])
def test_a_user_vector_made_while_its_person_is_erased_goes_again(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    world.work()
    guest.upload_selfie(selfie("grace"), add="true")
    if fault == "lost":
        service.faults.lose("AssociateFaces", times=1)
    just_before(monkeypatch, engine_of(app).index, "make_user", lambda: erase_selfies(app))
    until_quiet(world, app)
    guests = collection(service, event_id, "guests")
    assert (guests["faces"], guests["users"]) == ({}, {})


def test_a_removal_that_comes_late_takes_nothing_that_is_new(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    guest.upload_selfie(selfie("grace"), add="true")
    world.work()
    for operation in ("DeleteUser", "DeleteFaces"):
        service.faults.fail(operation, times=None, status=503)
    guest.delete("/my-selfie")
    world.work()
    service.faults.calm()
    guest.upload_selfie(selfie("grace"))
    world.work()
    guest.upload_selfie(selfie("grace"), add="true")
    world.work()
    confirm_first(guest)
    world.work()
    before = collection(service, event_id, "guests")
    assert len(next(iter(before["users"].values()))) == 3
    assert rows(app, Removal) > 0
    until_quiet(world, app)
    assert rows(app, Removal) == 0
    after = collection(service, event_id, "guests")
    assert after["users"] == before["users"] and len(after["faces"]) == 3


def test_an_event_erased_while_its_galleries_are_made_leaves_none(
    world: World, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    just_before(monkeypatch, engine_of(app).index, "prepare", lambda: erase_event(app, event_id))
    until_quiet(world, app)
    assert service.contents() == {}


def test_an_event_erased_while_a_photo_is_sent_is_no_alarm(
    world: World, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    just_before(monkeypatch, engine_of(app).analyzer, "photo_faces", lambda: erase_event(app, event_id))
    until_quiet(world, app)
    assert (service.contents(), rows(app, Alarm)) == ({}, 0)


# --- no face is kept twice, and none that is somebody else's


def test_a_photo_tried_again_after_a_limit_has_no_face_twice(
    world: World, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    service.faults.lose("IndexFaces", times=1)
    world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    limit(app, 1)
    until_quiet(world, app)
    assert one(app, select(Photo.failure_reason)) == "call_limit"
    limit(app, 0)
    until_quiet(world, app)
    assert one(app, select(Photo.status)) is PhotoStatus.INDEXED
    assert len(kept_ids(service, event_id, "photos")) == rows(app, Face) > 0


def test_a_selfie_tried_again_after_a_limit_has_no_face_twice(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    service.faults.lose("IndexFaces", times=1)
    a_guest(world, api)
    world.work()
    limit(app, 1)
    until_quiet(world, app)
    limit(app, 0)
    until_quiet(world, app)
    assert len(kept_ids(service, event_id, "guests")) == rows(app, SelfieVector) == 1


def test_a_limit_met_after_a_photos_faces_were_paid_for_loses_neither(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    world.work()
    with app.app_context():
        spent = usage.of_event(db.session.scalars(select(Event)).one()).total
    limit(app, spent + 1)
    mine = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    assert one(app, select(Photo.status)) is PhotoStatus.INDEXED
    limit(app, 0)
    world.work()
    assert guest.photo_ids() == mine
    assert len(kept_ids(service, event_id, "photos")) == rows(app, Face)
    assert service.count("IndexFaces") == 2, "the selfie and the photo, each once"


def test_a_confirmed_face_whose_answer_was_lost_is_kept_once_whatever_comes_between(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    confirm_first(guest)
    service.faults.lose("IndexFaces", times=1)
    world.work()
    rematch(app)
    until_quiet(world, app)
    assert rows(app, ConfirmedVector) == 1
    assert len(kept_ids(service, event_id, "guests")) == 2


def test_a_confirmed_face_that_the_service_does_not_see_is_sent_once(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    sent = service.count("IndexFaces")
    monkeypatch.setattr(crops, "probe_part", lambda *_: np.full((200, 200, 3), 128, dtype=np.uint8))
    confirm_first(guest)
    world.work()
    for _ in range(2):
        rematch(app)
        world.work()
    assert service.count("IndexFaces") == sent + 1
    with app.app_context():
        assert reconciling.report_on(event_id).in_order
    assert len(guest.photo_ids()) == 2


def test_of_a_crop_with_several_faces_the_one_in_its_place_is_taken() -> None:
    """A child beside an adult: the larger face is not the one that was confirmed."""
    confirmed = Box(0.4, 0.4, 0.1, 0.1)
    place = boxes.within_part(confirmed)
    assert (place.x, place.y, place.width, place.height) == pytest.approx((0.25, 0.25, 0.5, 0.5))
    own, neighbour = a_face(Box(0.27, 0.26, 0.45, 0.5)), a_face(Box(0.0, 0.0, 0.24, 0.9))
    assert hosted_person._in_its_place([neighbour, own], place) is own
    assert hosted_person._in_its_place([neighbour], place) is None
    at_the_edge = boxes.within_part(Box(0.0, 0.9, 0.1, 0.1))
    assert (at_the_edge.x, at_the_edge.y) == pytest.approx((0.0, 1 / 3))
    assert (at_the_edge.width, at_the_edge.height) == pytest.approx((2 / 3, 2 / 3))


def a_face(box: Box) -> DetectedFace:
    return DetectedFace(box, (), 1.0, 100, 0.0, 100.0, 100.0, 1.0, False, None, "id")


# --- nobody loses a photo


def test_what_was_searched_while_it_was_made_anew_takes_nothing(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    before = guest.get("/my-photos").json
    assert len(before) == 2

    def lose_and_begin_anew() -> None:
        service.delete_collection(f"findme-{event_id}-photos")
        request_reconciliation(app, event_id)
        with app.app_context():
            engine_of(app).index.prepare(reconciling.gallery_of(reconciling._event(event_id), "photos"))

    just_before(monkeypatch, engine_of(app).index, "search", lose_and_begin_anew)
    rematch(app)
    world.work("maintenance", limit=2)
    assert guest.get("/my-photos").json == before
    until_quiet(world, app)
    assert guest.get("/my-photos").json == before


def test_a_photo_that_was_held_against_guests_who_were_not_all_there_reaches_them(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    world.work()

    def lose_the_guests() -> None:
        with app.app_context():
            guests = reconciling.gallery_of(reconciling._event(event_id), "guests")
            engine_of(app).index.remove(guests, sorted(kept_ids(service, event_id, "guests")))
        request_reconciliation(app, event_id)

    def mend_and_match() -> None:
        with app.app_context():
            reconciling.reconcile_requested(event_id)
            with reading():
                person = db.session.scalars(select(Person.public_id).join(Selfie)).one()
            matching.match_person(person)

    mine = world.add_photos(event_id, *photos_with("grace", 1))
    just_before(monkeypatch, engine_of(app).index, "search", lose_the_guests)
    just_before(monkeypatch, indexing, "_record", mend_and_match)
    until_quiet(world, app)
    assert guest.photo_ids() == mine


def test_guests_keep_their_photos_when_the_galleries_new_model_is_newer(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    confirm_first(guest)
    world.work()
    service.delete_collection(f"findme-{event_id}-photos")
    monkeypatch.setattr(collection_operations, "MODEL_VERSION", "99.0")
    request_reconciliation(app, event_id)
    until_quiet(world, app)
    assert one(app, select(Event.engine_version)) == "99.0"
    assert len(guest.photo_ids()) == 2
    assert len(kept_ids(service, event_id, "guests")) == 2
    assert one(app, select(Person.match_failed).join(Selfie)) is False


def test_a_selfie_that_the_service_refuses_the_second_time_is_still_searched_with(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    mine = world.add_photos(event_id, *photos_with("grace", 1))
    guest = a_guest(world, api)
    world.work()
    service.delete_collection(f"findme-{event_id}-guests")
    service.faults.fail("IndexFaces", times=1, status=400, error="InvalidImageFormatException")
    request_reconciliation(app, event_id)
    until_quiet(world, app)
    assert kept_ids(service, event_id, "guests") == set()
    assert guest.photo_ids() == mine
    later = world.add_photos(event_id, *photos_with("grace", 2)[1:])
    world.work()
    assert set(guest.photo_ids()) == {*mine, *later}


def test_where_the_guests_are_searched_too_slowly_everybody_is_looked_at(
    world: World, api: Api, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    world.work()
    monkeypatch.setattr(hosted_search, "SECONDS", -1.0)
    mine = world.add_photos(event_id, *photos_with("grace", 1), *photos_without("grace", 1))
    world.work()
    assert guest.photo_ids() == mine[:1]
    assert set(world.statuses().values()) == {"indexed"}


# --- nothing waits for ever


def test_a_picture_that_is_lost_stops_no_reconciliation(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    lost, *mine = world.add_photos(event_id, *photos_with("grace", 3))
    guest = a_guest(world, api)
    world.work()
    with app.app_context():
        key = db.session.scalar(
            select(Rendition.blob_key)
            .join(Photo)
            .where(Photo.public_id == lost, Rendition.kind == RenditionKind.ORIGINAL)
        )
        app.extensions["blobs"].delete(key)
    service.delete_collection(f"findme-{event_id}-photos")
    request_reconciliation(app, event_id)
    until_quiet(world, app)
    assert one(app, select(Event.reconcile_requested_at)) is None
    assert set(guest.photo_ids()) == set(mine)


def test_a_reconciliation_gets_on_however_little_time_it_has(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    mine = world.add_photos(event_id, *photos_with("grace", 3))
    guest = a_guest(world, api)
    world.work()
    monkeypatch.setattr(reconciling, "SECONDS", 0.0)
    for kind in ("photos", "guests"):
        service.delete_collection(f"findme-{event_id}-{kind}")
    request_reconciliation(app, event_id)
    until_quiet(world, app, rounds=5)
    assert one(app, select(Event.reconcile_requested_at)) is None
    assert set(guest.photo_ids()) == set(mine)


def test_a_reconciliation_that_a_limit_stops_goes_on_once_it_is_raised(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    mine = world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    limit(app, 1)
    service.delete_collection(f"findme-{event_id}-photos")
    request_reconciliation(app, event_id)
    until_quiet(world, app)
    assert one(app, select(Event.reconcile_requested_at)) is not None
    assert set(guest.photo_ids()) == set(mine)
    limit(app, 0)
    until_quiet(world, app)
    assert one(app, select(Event.reconcile_requested_at)) is None
    assert set(guest.photo_ids()) == set(mine)


def test_what_comes_in_while_the_service_is_listed_is_not_lost(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    (later,) = world.add_photos(event_id, *photos_with("grace", 2)[1:])

    def index_one() -> None:
        with app.app_context():
            indexing.index_photo(str(later))

    just_before(monkeypatch, comparing, "_compare_photos", index_one)
    with app.app_context():
        assert reconciling.report_on(event_id).in_order


def test_a_photo_erased_while_it_is_handed_in_again_leaves_no_face(
    world: World, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    (photo,) = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    service.delete_collection(f"findme-{event_id}-photos")
    request_reconciliation(app, event_id)
    just_before(monkeypatch, engine_of(app).analyzer, "photo_faces", lambda: erase_photo(app, photo))
    until_quiet(world, app)
    assert kept_ids(service, event_id, "photos") == set()
