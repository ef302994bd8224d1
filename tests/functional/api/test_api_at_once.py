"""The same call many times at once: one gets what it asked for, the others the documented answer."""

from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.concurrency import at_once
from webapp.db.extensions import db
from webapp.models import Membership, Selfie, User
from webapp.services.strangers import selfie_allowance

pytestmark = pytest.mark.both_databases

MANY = 6


def test_identical_registrations_make_one_account(app: Flask, api: Api, world: World) -> None:
    world.event()
    body = {
        "user_data": {"username": "ada", "email": "ada@example.com", "password": PASSWORD},
        "event_code": world.code,
        "consent": True,
    }
    answers = at_once(*[lambda: api.post("/register-with-event-code", json=body)] * MANY)
    assert min(answer.status_code for answer in answers) == 201
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) == MANY - 1
    for answer in refused:
        assert answer.status_code in (409, 422)
        assert answer.json["code"] == "username_taken" and set(answer.json["fields"]) == {"username"}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User).where(User.username == "ada")) == 1
        assert (
            db.session.scalar(select(func.count()).select_from(Membership).join(User).where(User.role == "guest")) == 1
        )
    assert api.login("ada").get("/me").status_code == 200


def test_identical_selfies_are_all_taken_in_and_the_last_one_counts(app: Flask, api: Api, world: World) -> None:
    world.event()
    guest = api.register(world.code)
    content = selfie("grace")
    answers = at_once(*[lambda: guest.upload_selfie(content)] * selfie_allowance.PER_DAY)
    assert Counter(answer.status_code for answer in answers) == {200: selfie_allowance.PER_DAY}
    assert all(answer.json == {"status": "received"} for answer in answers)
    world.work()
    assert guest.get("/rematch-status").json["status"] == "done"
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Selfie).where(Selfie.retired_at.is_(None))) == 1
    # One picture and its small rendition are left of all.
    assert len(list(app.extensions["blobs"].keys(""))) == 2
