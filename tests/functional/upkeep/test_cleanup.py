"""What is put in order without anybody asking for it."""

import io
import secrets
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.cloud.s3_servers import S3Server, open_bucket
from tests.support.actors import World, photos_with
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import NotFound, Transient
from webapp.models import EngineUsage, Event, Lease, Photo, PhotoStatus
from webapp.services.erasure import orphans
from webapp.services.upkeep import cleanup
from webapp.services.uploads import upload_ledger

pytestmark = pytest.mark.both_databases


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def test_one_process_has_its_turn_until_the_next_round(context: None) -> None:
    assert [cleanup.tidy() for _ in range(3)] == [True, False, False]
    db.session.execute(update(Lease).values(expires_at=utcnow() - timedelta(seconds=1)))
    db.session.commit()
    assert cleanup.tidy()


def test_each_round_looks_after_blobs_that_no_row_knows(
    app: Flask, world: World, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.person("photographer@example.com")
    monkeypatch.setattr(orphans, "AGE", timedelta(days=-1))
    store, lost = app.extensions["blobs"], "events/gone/photos/nobody/original.jpg"
    store.put(lost, io.BytesIO(b"lost"))
    assert cleanup.tidy() and list(store.keys("events/")) == []


def test_a_store_that_is_away_puts_off_nothing_else(app: Flask, context: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise Transient(code="storage_away")

    resumed = []
    monkeypatch.setattr(orphans, "sweep", away)
    monkeypatch.setattr(cleanup, "_resume_below_limits", lambda: resumed.append(True))
    assert cleanup.tidy() and resumed


def test_uploads_that_nobody_finished_are_thrown_away_only_when_they_are_old(
    app: Flask, context: None, seaweedfs_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = seaweedfs_server.make_bucket(f"tidying-{secrets.token_hex(4)}")
    store = app.extensions["blobs"] = open_bucket(seaweedfs_server, bucket)
    upload = store.direct_uploads.begin_upload("events/a/photos/b/original.jpg", "image/jpeg")
    cleanup._tidy_store()
    assert store.direct_uploads.uploaded_parts(upload) == []
    monkeypatch.setattr(cleanup, "STALE", -upload_ledger.keeping() - timedelta(days=1))
    cleanup._tidy_store()
    with pytest.raises(NotFound) as gone:
        store.direct_uploads.uploaded_parts(upload)
    assert gone.value.code == "upload_missing"
    store.put("events/a/photos/b/original.jpg", io.BytesIO(b"still there"))
    assert store.info("events/a/photos/b/original.jpg").size == len(b"still there")


def test_what_a_limit_stopped_goes_on_when_the_setting_is_raised(app: Flask, world: World) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    with app.app_context():
        db.session.execute(update(Photo).values(status=PhotoStatus.FAILED, failure_reason="call_limit"))
        db.session.execute(update(Event).values(engine="rekognition", call_limit=None))
        db.session.add(EngineUsage(event_public_id=event_id, day=utcnow().date(), operation="IndexFaces", calls=10))
        db.session.commit()
        settings = app.extensions["settings"]
        for limit, status in ((10, PhotoStatus.FAILED), (11, PhotoStatus.UPLOADED)):
            app.extensions["settings"] = settings.model_copy(update={"event_call_limit": limit})
            cleanup._resume_below_limits()
            assert db.session.scalar(select(Photo.status)) is status
            db.session.rollback()


def test_a_picture_that_was_asked_about_and_left_behind_goes(app: Flask, context: None) -> None:
    store, now = app.extensions["blobs"], int(utcnow().timestamp())
    for asked_at in (now - 601, now - 5):
        store.put(f"prechecks/{asked_at:x}-abc", io.BytesIO(b"picture"))
    cleanup._tidy_store()
    assert list(store.keys("prechecks/")) == [f"prechecks/{now - 5:x}-abc"]
