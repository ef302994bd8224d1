"""Rows that wait for work: a worker has a row for itself until its lease is over, or its death is known."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from tests.support.actors import World, demo_photos
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Photo, PhotoStatus
from webapp.queueing import unit_of_work
from webapp.services.core import claims
from webapp.services.recovery import dead_workers

pytestmark = pytest.mark.both_databases

WAITING = Photo.status.in_((PhotoStatus.UPLOADED, PhotoStatus.INDEXING))


@pytest.fixture
def photo_id(world: World) -> str:
    (photo_id,) = world.add_photos(world.event(), *demo_photos(1))
    assert photo_id is not None
    return photo_id


def claim_as(worker: str, photo_id: str, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setenv("RQ_WORKER_ID", worker)
    return claims.claim(Photo, photo_id, WAITING, status=PhotoStatus.INDEXING)


def test_a_row_that_a_worker_has_is_no_other_workers(
    app: Flask, photo_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        assert claim_as("first", photo_id, monkeypatch) is not None
        assert claim_as("second", photo_id, monkeypatch) is None


def test_it_is_free_when_its_lease_is_over(app: Flask, photo_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        claim_as("first", photo_id, monkeypatch)
        with unit_of_work():
            db.session.execute(update(Photo).values(lease_expires_at=utcnow() - timedelta(seconds=1)))
        assert claim_as("second", photo_id, monkeypatch) is not None


def test_it_is_free_when_its_worker_is_known_to_be_dead(
    app: Flask, photo_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        claim_as("first", photo_id, monkeypatch)
        assert dead_workers.release_claims(["first"]) == 1
        assert claim_as("second", photo_id, monkeypatch) is not None


def test_a_worker_that_finds_its_own_claim_has_lost_the_work(
    app: Flask, photo_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        before = claim_as("first", photo_id, monkeypatch)
        again = claim_as("first", photo_id, monkeypatch)
        assert again is not None
        assert claims.held(Photo, photo_id, str(before)) is None
        assert claims.held(Photo, photo_id, again) is not None
