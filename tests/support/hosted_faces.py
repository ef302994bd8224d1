"""Where a service keeps the faces: fixtures and helpers of the tests that look into its collections."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import func, select, update

from tests.cloud.rekognition import RekognitionServer, rekognition
from tests.support.actors import Api, World, selfie
from webapp import queueing
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.faces import Engine
from webapp.faces.rekognition.engine import load
from webapp.models import (
    Person,
    Photo,
    Removal,
    Selfie,
)
from webapp.services.core import usage_meter
from webapp.services.recovery import sweeper
from webapp.settings import Settings

KEY, SECRET = "AKIATESTSTESTSTESTS1", "tests-only-secret"


@pytest.fixture(scope="module")
def cloud() -> Iterator[RekognitionServer]:
    with rekognition(keys={KEY: SECRET}) as server:
        yield server


@pytest.fixture(autouse=True)
def service(cloud: RekognitionServer) -> Iterator[RekognitionServer]:
    """The service, empty and in a good mood."""
    cloud.forget()
    cloud.faults.calm()
    yield cloud
    assert cloud.faults_of_its_own == []


@pytest.fixture
def app(app: Flask) -> Flask:
    """An app whose calls are tried once: how boto repeats them has tests of its own, and takes its time."""
    with app.app_context():
        analyzer, index = load(app.extensions["settings"], usage_meter.CostMeter(), queueing.connection(), attempts=1)
    app.extensions["face_engines"]["rekognition"] = Engine(analyzer, index, index)
    return app


@pytest.fixture
def settings(settings: Settings, cloud: RekognitionServer) -> Settings:
    return settings.model_copy(
        update={
            "face_engine": "rekognition",
            "rekognition_region": "eu-west-1",
            "rekognition_endpoint_url": cloud.url,
            "rekognition_calls_per_second": 1000,
            "aws_access_key_id": SecretStr(KEY),
            "aws_secret_access_key": SecretStr(SECRET),
        }
    )


def collection(service: RekognitionServer, event_id: str, kind: str) -> dict[str, Any]:
    return service.contents()[f"findme-{event_id}-{kind}"]


def kept_ids(service: RekognitionServer, event_id: str, kind: str) -> set[str]:
    return set(collection(service, event_id, kind)["faces"])


def one(app: Flask, statement: Any) -> Any:
    with app.app_context():
        return db.session.scalar(statement)


def rows(app: Flask, model: Any) -> int:
    return one(app, select(func.count()).select_from(model))


def let_time_pass(app: Flask) -> None:
    """The pauses before the next tries are over, and a sweep finds what waits."""
    with app.app_context():
        for model in (Photo, Selfie, Person, Removal):
            db.session.execute(update(model).values(retry_at=None, lease_expires_at=None))
        db.session.commit()
        from webapp.models import Lease

        db.session.execute(update(Lease).values(expires_at=utcnow()))
        db.session.commit()
        sweeper.sweep()


def a_guest(world: World, api: Api, person: str = "grace", name: str = "ada") -> Api:
    guest = api.register(world.code, name)
    assert guest.upload_selfie(selfie(person)).status_code == 200
    return guest
