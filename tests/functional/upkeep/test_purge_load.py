"""`flask findme purge-load` takes away what load tests made, and nothing else."""

from collections.abc import Callable

from flask import Flask
from sqlalchemy import func, select

from tests.support.actors import PASSWORD, Api, World, selfie
from webapp.db.extensions import db
from webapp.models import Consent, Mail, Match, Membership, Person, Selfie, SelfieVector, User, UserRole
from webapp.services.accounts import accounts
from webapp.services.core import blobs
from webapp.services.upkeep import load_data


def test_guests_of_a_load_test_go_with_everything_and_others_stay(
    app: Flask, api: Api, world: World, work: Callable[..., int]
) -> None:
    event_id = world.party()
    for name, domain in (("grace", "load.test"), ("ada", "example.com"), ("load.test", "notload.test")):
        user = {"username": name, "email": f"{name}@{domain}", "password": PASSWORD}
        body = {"user_data": user, "event_code": world.code, "consent": True}
        token = api.post("/register-with-event-code", json=body).json["access_token"]
        assert Api(app, token).upload_selfie(selfie("grace")).status_code == 200
    world.person(f"boss@{accounts.LOAD_TEST}", UserRole.PHOTOGRAPHER)
    work()
    with app.app_context():
        gone = db.session.scalars(select(User).where(User.username == "grace")).one().id
        before = _counts()
        files = set(blobs.store().keys(f"events/{event_id}/selfies/"))
        answer = app.test_cli_runner().invoke(args=["findme", "purge-load"])
        assert answer.exit_code == 0 and answer.output.startswith("1 guests")
    work()
    with app.app_context():
        after = _counts()
        assert db.session.get(User, gone) is None
        assert set(db.session.scalars(select(User.email))) >= {"ada@example.com", "load.test@notload.test"}
        assert db.session.scalar(select(User).where(User.role == UserRole.PHOTOGRAPHER, User.email.like("boss@%")))
        for model in (Membership, Person, Selfie, SelfieVector, Consent, Mail):
            assert after[model] == before[model] - 1, model
        assert 0 < after[Match] < before[Match]
        assert len(set(blobs.store().keys(f"events/{event_id}/selfies/"))) == len(files) * 2 // 3


def test_an_installation_without_load_tests_loses_nothing(app: Flask, api: Api, world: World) -> None:
    world.party(1)
    api.register(world.code)
    with app.app_context():
        before = _counts()
        assert load_data.purge() == 0
        assert _counts() == before


def _counts() -> dict[type, int]:
    db.session.rollback()
    models = (User, Membership, Person, Selfie, SelfieVector, Consent, Match, Mail)
    return {model: db.session.scalar(select(func.count()).select_from(model)) or 0 for model in models}
