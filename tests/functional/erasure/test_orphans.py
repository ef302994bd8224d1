"""Blobs that no row knows go after a day; everything that a row knows stays, in either store."""

import io
import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from tests.cloud.s3_servers import S3Server, open_bucket
from tests.support.actors import Api, World, photos_with, selfie
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, Photo, Upload, UploadWay, User
from webapp.queueing import unit_of_work
from webapp.services.erasure import orphans
from webapp.services.photos import watermarks
from webapp.storage.blobs import BlobStore

LOST = "events/{event}/photos/nobody/original.jpg"


@pytest.fixture(params=["local", "s3"])
def store(app: Flask, request: pytest.FixtureRequest) -> BlobStore:
    """The app's store, one of each kind."""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("seaweedfs_server")
        app.extensions["blobs"] = open_bucket(server, server.make_bucket(f"orphans-{secrets.token_hex(4)}"))
    found: BlobStore = app.extensions["blobs"]
    return found


@pytest.fixture
def long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is there now is older than a day."""
    monkeypatch.setattr(orphans, "AGE", timedelta(days=-1))


@pytest.fixture
def party(app: Flask, world: World, api: Api, store: BlobStore) -> str:
    """An event with a photo and its web size, a selfie, a cover and an upload under way."""
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    api.register(world.code, "guest").upload_selfie(selfie("grace"))
    world.work()
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        event.cover_key = f"events/{event_id}/cover/a.jpg"
        coming = f"events/{event_id}/photos/coming/original.jpg"
        db.session.add(Upload(event_id=event.id, filename="a.jpg", way=UploadWay.S3, blob_key=coming))
        event.watermark = "Photo: me"
    for key in (f"events/{event_id}/cover/a.jpg", coming):
        store.put(key, io.BytesIO(b"known"))
    with app.app_context():
        assert watermarks.web_size(db.session.scalars(select(Photo)).one()).blob_key in set(store.keys("events/"))
    return event_id


@pytest.fixture
def context(app: Flask, party: str) -> Iterator[None]:
    with app.app_context():
        yield


def test_only_what_no_row_knows_goes(store: BlobStore, party: str, context: None, long_ago: None) -> None:
    before = set(store.keys("events/"))
    assert len(before) >= 8  # original, preview, thumbnail, web; selfie and its preview; cover; upload
    photo = db.session.scalars(select(Photo.public_id)).one()
    lost = {
        LOST.format(event=party),
        f"events/{party}/photos/{photo}/former.webp",
        f"events/{party}/selfies/nobody/original.jpg",
        f"events/{party}/selfies/nobody/preview.jpg",
        f"events/{party}/cover/former.jpg",
        "events/gone/photos/nobody/thumbnail.webp",
    }
    for key in lost:
        store.put(key, io.BytesIO(b"lost"))
    store.put("prechecks/ours-not", io.BytesIO(b"another duty's"))
    assert orphans.sweep() == orphans.Swept(looked_at=len(before | lost), removed=len(lost), drafts=0)
    assert set(store.keys("events/")) == before
    assert list(store.keys("prechecks/")) == ["prechecks/ours-not"]
    assert orphans.sweep().removed == 0


def test_what_is_younger_than_a_day_stays(store: BlobStore, party: str, context: None) -> None:
    store.put(LOST.format(event=party), io.BytesIO(b"its row is being written"))
    assert orphans.sweep().removed == 0
    assert LOST.format(event=party) in set(store.keys("events/"))


def test_what_is_older_than_the_installation_stays(store: BlobStore, party: str, context: None, long_ago: None) -> None:
    """A new database beside the store of another one, by a wrong DATABASE_URL: no photo of that one may go."""
    store.put("events/of-another/photos/old/original.jpg", io.BytesIO(b"all that there is of it"))
    before = set(store.keys("events/"))
    with unit_of_work():
        db.session.execute(update(User).values(created_at=utcnow() + timedelta(hours=1)))
    assert orphans.sweep().removed == 0
    with unit_of_work():
        db.session.execute(delete(Event))
        db.session.execute(delete(User))
    assert orphans.sweep().removed == 0
    assert set(store.keys("events/")) == before


def test_a_round_is_bounded_and_the_next_one_goes_on(
    store: BlobStore, party: str, context: None, long_ago: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "BATCH", 2)
    monkeypatch.setattr(orphans, "MOST_LOOKED_AT", 4)
    for number in range(9):
        store.put(f"events/{party}/photos/lost{number}/original.jpg", io.BytesIO(b"lost"))
    everything = list(store.keys("events/"))
    rounds = [orphans.sweep() for _ in range(6)]
    assert all(done.looked_at <= 4 for done in rounds)
    assert sum(done.removed for done in rounds) == 9
    assert len(list(store.keys("events/"))) == len(everything) - 9


def test_it_is_one_process_duty_once_a_day(app: Flask, context: None) -> None:
    assert [orphans.sweep_daily() is not None for _ in range(2)] == [True, False]


def test_the_list_can_be_gone_through_in_pieces(store: BlobStore) -> None:
    keys = {f"events/{a}/photos/{b}/{c}.jpg" for a in ("a", "a-b", "ab", "b") for b in ("x", "x-y") for c in ("1", "2")}
    for key in keys:
        store.put(key, io.BytesIO(b"blob"))
    seen, after = [], ""
    while piece := [key for key, _ in store.dated_keys("events/", after)][:3]:
        seen += piece
        after = piece[-1]
    assert set(seen) == keys and len(seen) == len(keys)
    stored_at = [at for _, at in store.dated_keys("events/")]
    assert all(abs(datetime.now(UTC) - at) < timedelta(minutes=5) for at in stored_at)


def test_drafts_of_killed_writers_go_after_a_day(app: Flask, world: World) -> None:
    world.event()
    incoming = Path(app.extensions["settings"].blobs_dir) / ".incoming"
    for name, age in (("old", 25), ("new", 1)):
        (incoming / name).write_bytes(b"half a picture")
        os.utime(incoming / name, (time.time() - age * 3600,) * 2)
    with app.app_context():
        assert orphans.sweep().drafts == 1
    assert [path.name for path in incoming.iterdir()] == ["new"]


def test_what_became_known_meanwhile_stays(
    app: Flask, store: BlobStore, party: str, context: None, long_ago: None
) -> None:
    """Rows decide at the moment of removal, not when the list was made."""
    key = LOST.format(event=party)
    store.put(key, io.BytesIO(b"blob"))
    with unit_of_work():
        db.session.execute(update(Event).values(cover_key=key))
    assert key in orphans.known([key])
    orphans.sweep()
    assert key in set(store.keys("events/"))
