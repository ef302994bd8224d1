"""Events whose faces a service keeps: the whole way of the main job against the Rekognition of the tests, whose
collections are looked into afterwards.
"""

import io

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select, update

from tests.cloud.rekognition import RekognitionServer
from tests.support import faces
from tests.support.actors import Api, World, photos_with, photos_without, selfie
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
from webapp.db.extensions import db
from webapp.models import (
    Alarm,
    ConfirmedVector,
    EngineUsage,
    Event,
    Face,
    FaceVector,
    Match,
    Person,
    Photo,
    PhotoStatus,
    Removal,
    Selfie,
    SelfieStatus,
    UserScore,
    Verdict,
)
from webapp.queueing import unit_of_work
from webapp.services.core import claims
from webapp.services.matching import reconciling
from webapp.services.upkeep import usage
from webapp.settings import Settings

__all__ = ["app", "cloud", "service", "settings"]


def test_a_selfie_finds_its_photos_and_no_others(world: World, api: Api, service: RekognitionServer) -> None:
    event_id = world.event()
    mine = world.add_photos(event_id, *photos_with("grace", 3))
    world.add_photos(event_id, *photos_without("grace", 2))
    world.work()
    guest = a_guest(world, api)
    world.work()
    assert set(guest.photo_ids()) == set(mine)
    names = set(collection(service, event_id, "photos")["faces"].values())
    assert set(mine) <= names


def test_photos_that_come_later_reach_the_guest_they_show(world: World, api: Api) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    other = a_guest(world, api, "eileen", "bea")
    world.work()
    assert guest.photo_ids() == []
    mine = world.add_photos(event_id, *photos_with("grace", 3))
    theirs = world.add_photos(event_id, *photos_with("eileen", 2))
    world.work()
    assert set(mine) <= set(guest.photo_ids())
    assert set(theirs) <= set(other.photo_ids())


def test_the_order_of_arrival_is_no_part_of_what_is_found(world: World, api: Api, app: Flask) -> None:
    everything = [*photos_with("grace", 2), *photos_without("grace", 2)]
    found = {selfie_at: matches_when(world, api, app, everything, selfie_at) for selfie_at in (0, 2, 4)}
    assert found[0] and found[0] == found[2] == found[4]


def matches_when(
    world: World, api: Api, app: Flask, photos: list[tuple[str, bytes]], selfie_at: int
) -> list[tuple[str, str, float]]:
    """What an event of its own finds for a guest whose selfie comes after so many photos, everything one by one."""
    world.code = f"ORDER{selfie_at}"
    event_id = world.event()
    guest = api.register(world.code, f"guest{selfie_at}")
    for place, photo in enumerate([*photos, None]):
        if place == selfie_at:
            guest.upload_selfie(selfie("grace"))
            world.work()
        if photo is not None:
            world.add_photos(event_id, photo)
            world.work()
    with app.app_context():
        rows = db.session.execute(
            select(Photo.filename, Match.band, Match.similarity)
            .join(Photo, Photo.id == Match.photo_id)
            .join(Event, Event.id == Photo.event_id)
            .where(Event.public_id == event_id)
        ).all()
    return sorted((row.filename, row.band.value, round(row.similarity, 6)) for row in rows)


def test_several_pictures_of_a_person_make_a_user_vector(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3))
    guest = a_guest(world, api)
    world.work()
    assert collection(service, event_id, "guests")["users"] == {}
    guest.upload_selfie(selfie("grace"), add="true")
    world.work()
    (user_id,) = collection(service, event_id, "guests")["users"]
    assert one(app, select(Person.public_id).where(Person.user_key.is_not(None))) == user_id
    world.add_photos(event_id, *photos_with("grace", 5)[3:])
    world.work()
    assert service.count("SearchUsersByImage") > 0
    assert len(guest.photo_ids()) == 5


def test_a_confirmed_face_becomes_a_picture_of_the_person_until_the_word_is_taken_back(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3))
    guest = a_guest(world, api)
    world.work()
    match = guest.get("/my-photos").json[0]["match_id"]
    assert guest.post(f"/matches/{match}", json={"verdict": "confirmed"}).status_code == 200
    world.work()
    confirmed = one(app, select(ConfirmedVector.external_id))
    assert confirmed in kept_ids(service, event_id, "guests")
    (associated,) = collection(service, event_id, "guests")["users"].values()
    assert confirmed in associated and len(associated) == 2
    assert guest.post(f"/matches/{match}", json={"verdict": "none"}).status_code == 200
    world.work()
    assert rows(app, ConfirmedVector) == 0
    assert confirmed not in kept_ids(service, event_id, "guests")
    assert collection(service, event_id, "guests")["users"] == {}


def test_a_rejected_face_stays_rejected_after_a_rematch(world: World, api: Api, app: Flask) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3))
    guest = a_guest(world, api)
    world.work()
    first = guest.get("/my-photos").json[0]
    guest.post(f"/matches/{first['match_id']}", json={"verdict": "rejected"})
    boss = api.login("photographer@example.com")
    assert boss.post(f"/photographer/events/{event_id}/rematch").status_code == 202
    world.work()
    assert first["id"] not in guest.photo_ids() and len(guest.photo_ids()) == 2
    assert one(app, select(Match.verdict).where(Match.public_id == first["match_id"])) is Verdict.REJECTED


def test_erasing_leaves_nothing_of_the_guest_at_the_service(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    guest.upload_selfie(selfie("grace"), add="true")
    match = guest.get("/my-photos").json[0]["match_id"]
    guest.post(f"/matches/{match}", json={"verdict": "confirmed"})
    world.work()
    assert collection(service, event_id, "guests")["users"]
    assert guest.delete("/my-selfie").status_code == 200
    world.work()
    guests = collection(service, event_id, "guests")
    assert (guests["faces"], guests["users"]) == ({}, {})
    assert [rows(app, model) for model in (Match, Selfie, ConfirmedVector, UserScore, Removal)] == [0] * 5
    assert not [key for key in app.extensions["blobs"].keys("events/") if "/selfies/" in key]


def test_erasing_waits_for_a_service_that_is_away_and_never_gives_up(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    world.work()
    service.faults.fail("DeleteFaces", times=None, status=503)
    guest.delete("/my-selfie")
    for _ in range(len(claims.PAUSES) + 2):
        world.work()
        let_time_pass(app)
    assert kept_ids(service, event_id, "guests")
    service.faults.calm()
    let_time_pass(app)
    world.work()
    assert kept_ids(service, event_id, "guests") == set()
    assert rows(app, Removal) == 0


def test_a_selfie_that_is_replaced_goes_from_the_service(world: World, api: Api, service: RekognitionServer) -> None:
    event_id = world.event()
    guest = a_guest(world, api, "eileen")
    world.work()
    before = kept_ids(service, event_id, "guests")
    guest.upload_selfie(selfie("grace"))
    world.work()
    after = kept_ids(service, event_id, "guests")
    assert len(after) == 1 and not before & after


def test_an_answer_lost_after_the_work_was_done_leaves_no_face_twice(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    service.faults.lose("IndexFaces", times=1)
    mine = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    let_time_pass(app)
    world.work()
    assert set(world.statuses().values()) == {"indexed"}
    assert len(kept_ids(service, event_id, "photos")) == rows(app, Face)
    service.faults.lose("IndexFaces", times=1)
    guest = a_guest(world, api)
    world.work()
    let_time_pass(app)
    world.work()
    assert len(kept_ids(service, event_id, "guests")) == 1
    assert guest.photo_ids() == mine


def test_a_quota_that_is_used_up_for_long_delays_and_loses_nothing(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    service.faults.throttle()
    mine = world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    for _ in range(len(claims.PAUSES) + 2):
        world.work()
        let_time_pass(app)
    with app.app_context():
        assert set(db.session.scalars(select(Photo.status))) == {PhotoStatus.UPLOADED}
        assert set(db.session.scalars(select(Selfie.status))) == {SelfieStatus.RECEIVED}
    service.faults.calm()
    let_time_pass(app)
    world.work()
    assert set(guest.photo_ids()) == set(mine)


def test_missing_rights_are_an_alarm_and_their_work_goes_on_once_they_are_given(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    service.faults.deny()
    mine = world.add_photos(event_id, *photos_with("grace", 1))
    guest = a_guest(world, api)
    world.work()
    assert one(app, select(Alarm.name)) == "engine_rights"
    service.faults.calm()
    let_time_pass(app)
    world.work()
    let_time_pass(app)
    world.work()
    assert guest.photo_ids() == mine
    assert rows(app, Alarm) == 0


def test_a_limit_stops_an_events_searches_and_raising_it_lets_them_go_on(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    with app.app_context():
        db.session.execute(update(Event).values(call_limit=1))
        db.session.commit()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    assert sum(call.operation in ("IndexFaces", "SearchFacesByImage") for call in service.calls) == 1
    with app.app_context():
        stopped = db.session.scalars(select(Photo).where(Photo.status == PhotoStatus.FAILED)).all()
        assert {photo.failure_reason for photo in stopped} == {"call_limit"} and len(stopped) >= 1
        assert all(len(photo.renditions) == 3 for photo in stopped), "the photographer sees what waits"
        assert db.session.scalar(select(EngineUsage.calls)) == 1
        event = db.session.scalars(select(Event)).one()
        with unit_of_work():
            usage.set_limit(event, 0, event.memberships[0].user)
    world.work()
    assert len(guest.photo_ids()) == 2


def test_a_collection_deleted_by_hand_takes_nothing_from_anybody_and_is_made_again(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3))
    guest = a_guest(world, api)
    world.work()
    before = guest.get("/my-photos").json
    guest.post(f"/matches/{before[0]['match_id']}", json={"verdict": "confirmed"})
    world.work()
    for kind in ("photos", "guests"):
        service.delete_collection(f"findme-{event_id}-{kind}")
    guest.upload_selfie(selfie("grace"), add="true")
    boss = api.login("photographer@example.com")
    boss.post(f"/photographer/events/{event_id}/rematch")
    later = world.add_photos(event_id, *photos_with("grace", 4)[3:])
    world.work(limit=3)
    assert {row["id"] for row in before} <= set(guest.photo_ids())
    for _ in range(3):
        let_time_pass(app)
        world.work()
    assert set(guest.photo_ids()) == {row["id"] for row in before} | set(later)
    assert {row["match_id"] for row in before} <= {row["match_id"] for row in guest.get("/my-photos").json}
    with app.app_context():
        assert reconciling.report_on(event_id).in_order
        assert db.session.scalar(select(Event.reconcile_requested_at)) is None
    assert rows(app, Alarm) == 0


def test_reconciling_says_and_mends_what_differs(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = a_guest(world, api)
    world.work()
    guest.upload_selfie(selfie("grace"), add="true")
    world.work()
    with app.app_context():
        lost = db.session.scalars(select(FaceVector.external_id)).first()
        db.session.rollback()
        index = app.extensions["face_engines"]["rekognition"].index
        gallery = reconciling.gallery_of(reconciling._event(event_id), "photos")
        index.remove(gallery, [lost])
        guests = reconciling.gallery_of(reconciling._event(event_id), "guests")
        index.remove_user(guests, next(iter(index.users(guests))))
        from webapp.faces.core.protocols import Keep

        analyzer = app.extensions["face_engines"]["rekognition"].analyzer
        ghosts = analyzer.photo_faces(faces.portrait("eileen"), Keep(gallery, "nobody"))
        analyzer.photo_faces(faces.portrait("eileen"), Keep(guests, "nobody"))
        report = reconciling.report_on(event_id)
        assert (report.photo_faces_lost, report.photo_faces_unknown) == (1, len(ghosts))
        assert (report.guest_faces_lost, report.guest_faces_unknown) == (0, len(ghosts))
        assert (report.users_lost, report.users_unknown) == (1, 0)
    told = app.test_cli_runner().invoke(args=["findme", "reconcile", world.code])
    assert told.exit_code == 0 and "1 faces of photos that the service has lost" in told.output, told.output
    world.work()
    told = app.test_cli_runner().invoke(args=["findme", "reconcile", event_id, "--check"])
    assert "In order" in told.output, told.output
    assert len(guest.photo_ids()) == 2
    assert collection(service, event_id, "guests")["users"]


def test_an_erased_event_leaves_no_collection(world: World, api: Api, app: Flask, service: RekognitionServer) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    a_guest(world, api)
    world.work()
    assert len(service.contents()) == 2
    told = app.test_cli_runner().invoke(args=["findme", "erase-event", world.code, "--yes"])
    assert told.exit_code == 0, told.output
    world.work()
    assert service.contents() == {}
    assert list(app.extensions["blobs"].keys("events/")) == []
    assert [rows(app, model) for model in (Event, Photo, Face, Match, Selfie, Removal)] == [0] * 6
    assert rows(app, EngineUsage) > 0, "the bill stays"


def test_an_answer_that_was_cut_is_said(
    world: World, api: Api, app: Flask, service: RekognitionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webapp.faces.rekognition import index

    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3))
    world.work()
    monkeypatch.setattr(index, "MOST_HITS", 2)
    service.faults.limit_answers(2)
    a_guest(world, api)
    world.work()
    assert one(app, select(Person.match_capped).join(Selfie)) is True


def test_an_event_keeps_the_engine_it_was_made_with(
    world: World, api: Api, app: Flask, service: RekognitionServer, settings: Settings
) -> None:
    settings = settings.model_copy(update={"face_engine": "local"})
    app.extensions["settings"] = settings
    local = world.event("LOCALONE")
    app.extensions["settings"] = settings.model_copy(update={"face_engine": "rekognition"})
    remote = world.event("CLOUDONE")
    for event_id in (local, remote):
        world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    with app.app_context():
        engines = db.session.execute(
            select(Event.public_id, FaceVector.engine).join(FaceVector, FaceVector.event_id == Event.id)
        ).all()
    assert {tuple(row) for row in engines} == {(local, "local"), (remote, "rekognition")}
    assert set(service.contents()) == {f"findme-{remote}-photos", f"findme-{remote}-guests"}


def test_erasing_is_not_stopped_by_a_limit(world: World, api: Api, app: Flask, service: RekognitionServer) -> None:
    event_id = world.event()
    guest = a_guest(world, api)
    world.work()
    guest.upload_selfie(selfie("grace"), add="true")
    world.work()
    assert collection(service, event_id, "guests")["users"]
    with app.app_context():
        db.session.execute(update(Event).values(call_limit=1))
        db.session.commit()
    guest.delete("/my-selfie")
    world.work()
    guests = collection(service, event_id, "guests")
    assert (guests["faces"], guests["users"]) == ({}, {})


def test_a_selfie_that_the_service_lost_is_handed_in_again(
    world: World, api: Api, app: Flask, service: RekognitionServer
) -> None:
    event_id = world.event()
    mine = world.add_photos(event_id, *photos_with("grace", 1))
    guest = a_guest(world, api)
    world.work()
    with app.app_context():
        guests = reconciling.gallery_of(reconciling._event(event_id), "guests")
        index = app.extensions["face_engines"]["rekognition"].index
        index.remove(guests, sorted(kept_ids(service, event_id, "guests")))
    guest.upload_selfie(selfie("grace"), add="true")
    for _ in range(3):
        world.work()
        let_time_pass(app)
    assert len(kept_ids(service, event_id, "guests")) == 2
    assert guest.photo_ids() == mine


def test_a_cmyk_photo_over_five_megabytes_is_converted_before_it_is_sent(
    world: World, api: Api, service: RekognitionServer
) -> None:
    """The service takes neither: it refuses CMYK, and pictures over 5 MB."""
    event_id = world.event()
    ((name, content),) = photos_with("grace", 1)
    target = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("CMYK").save(target, "JPEG", quality=95)
    printed = target.getvalue()
    # As cameras and editors do it, by what is not the picture: segments of 64 KiB each.
    segment = b"\xff\xe9\xff\xff" + bytes(2**16 - 3)
    printed = printed[:2] + segment * 81 + printed[2:]
    assert len(printed) > 5 * 1024 * 1024
    mine = world.add_photos(event_id, (name, printed))
    guest = a_guest(world, api)
    world.work()
    assert guest.photo_ids() == mine
