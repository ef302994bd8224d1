"""Searching for strangers where a service keeps the faces: it is asked whether two selfies show one person."""

from flask import Flask
from sqlalchemy import select

from tests.attacks.phones import Phone
from tests.cloud.rekognition import RekognitionServer
from tests.support.actors import Api, World, selfie
from tests.support.hosted_faces import app, cloud, service, settings
from webapp.db.extensions import db
from webapp.models import AlertKind, EngineUsage, Membership, Person, SearchAlert

__all__ = ["app", "cloud", "service", "settings"]


def hand_in(world: World, guest: Api, person: str) -> None:
    assert guest.upload_selfie(selfie(person)).status_code == 200
    world.work()


def stopped(app: Flask) -> list[str]:
    with app.app_context():
        wanted = select(Person.name).join(Membership).where(Membership.search_stopped_at.is_not(None))
        return sorted(db.session.scalars(wanted))


def searches(app: Flask) -> int:
    """Billed calls that searched by a face's id."""
    with app.app_context():
        rows = db.session.scalars(select(EngineUsage).where(EngineUsage.operation == "SearchFaces"))
        return sum(row.calls for row in rows)


def test_the_third_face_on_an_account_stops_its_search(app: Flask, world: World, api: Api) -> None:
    world.event()
    guest = api.register(world.code, "ada")
    for person in ("grace", "eileen"):
        hand_in(world, guest, person)
        assert stopped(app) == []
    hand_in(world, guest, "grace")
    assert stopped(app) == ["ada"]


def test_a_further_selfie_of_the_same_person_costs_one_call_and_stops_nothing(
    app: Flask, world: World, api: Api
) -> None:
    world.event()
    guest = api.register(world.code, "ada")
    hand_in(world, guest, "grace")
    assert searches(app) == 0, "there is nothing to compare the first one with"
    for number in range(1, 4):
        hand_in(world, guest, "grace")
        assert searches(app) == number
    assert stopped(app) == []


def test_the_fifth_person_on_a_device_is_stopped(app: Flask, world: World, service: RekognitionServer) -> None:
    world.event()
    phone = Phone(app)
    for number in range(6):
        token = phone.join(world.code, f"account{number}", selfie("grace"))
        world.work()
        if number < 4:
            phone.send("DELETE", "/my-selfie", token)
            world.work()
    assert stopped(app) == ["account4", "account5"]
    with app.app_context():
        assert [row.kind for row in db.session.scalars(select(SearchAlert))] == [AlertKind.DEVICE_FACES]
