"""No connection of the database waits while bytes arrive, are stored or are looked at: a slow network stops nobody."""

import io
from collections.abc import Callable
from typing import IO, Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, TestResponse

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from webapp import queueing
from webapp.db.extensions import db
from webapp.queueing import INDEX_PHOTO, enqueue_after_commit, unit_of_work
from webapp.services.core.consents import CONSENT_VERSION
from webapp.storage.blobs import BlobInfo
from webapp.storage.local import LocalBlobStore

pytestmark = pytest.mark.both_databases


class Watch:
    """Notes how many connections are in use whenever something slow happens."""

    def __init__(self, app: Flask) -> None:
        with app.app_context():
            self._pool: Any = db.engine.pool
        self.seen: dict[str, set[int]] = {}

    def note(self, what: str) -> None:
        self.seen.setdefault(what, set()).add(self._pool.checkedout())


class SlowBody(io.BytesIO):
    """A request's body, as it comes over the network."""

    def __init__(self, content: bytes, watch: Watch) -> None:
        super().__init__(content)
        self._watch = watch

    def read(self, size: int | None = -1, /) -> bytes:
        self._watch.note("body")
        return super().read(min(size or 65536, 65536) if size is None or size < 0 or size > 65536 else size)

    def readinto(self, buffer: Any, /) -> int:
        self._watch.note("body")
        return super().readinto(memoryview(buffer)[:65536])


class SlowStore(LocalBlobStore):
    """The local store, far away."""

    watch: Watch

    def put(self, key: str, source: IO[bytes]) -> BlobInfo:
        self.watch.note("store")
        return super().put(key, source)

    def open(self, key: str) -> IO[bytes]:
        self.watch.note("store")
        return super().open(key)


@pytest.fixture
def watch(app: Flask) -> Watch:
    watch = Watch(app)
    store = SlowStore(app.extensions["settings"].blobs_dir)
    store.watch = watch
    app.extensions["blobs"] = store
    return watch


Send = Callable[..., TestResponse]


@pytest.fixture
def send(app: Flask, watch: Watch) -> Send:
    """Send a form with a file in small pieces."""

    def send(browser: Browser, path: str, data: dict[str, Any], headers: dict[str, str]) -> TestResponse:
        builder = EnvironBuilder(path=path, method="POST", data=data)
        environ = builder.get_environ()
        with environ["wsgi.input"] as encoded:
            content = encoded.read()
        builder.close()
        watch.seen.clear()
        return browser.client.open(
            path,
            method="POST",
            input_stream=SlowBody(content, watch),
            content_type=environ["CONTENT_TYPE"],
            content_length=len(content),
            headers=headers,
        )

    return send


def big(content: bytes) -> tuple[io.BytesIO, str]:
    """A picture that takes a while to arrive."""
    return io.BytesIO(content + b"\0" * 2_000_000), "a.jpg"


NOTHING_HELD = {"body": {0}, "store": {0}}


def test_while_a_guest_joins(world: World, watch: Watch, send: Send) -> None:
    world.event()
    browser = Browser(world.app)
    form = {"name": "Ada", "email": "ada@example.com", "consent": "y", "consent_version": CONSENT_VERSION}
    token = browser.token("/e/PARTY234")
    answer = send(browser, "/e/PARTY234", form | {"csrf_token": token, "file": big(selfie("grace"))}, {})
    assert answer.status_code == 303
    assert watch.seen == NOTHING_HELD
    token = browser.token("/e/PARTY234/selfie")
    again = send(browser, "/e/PARTY234/selfie", {"csrf_token": token, "file": big(selfie("grace"))}, {})
    assert again.status_code == 303
    assert watch.seen == NOTHING_HELD


def test_while_a_client_hands_in_a_selfie(world: World, api: Api, watch: Watch, send: Send) -> None:
    world.event()
    guest = api.register(world.code)
    bearer = {"Authorization": f"Bearer {guest.token}"}
    answer = send(Browser(world.app), "/api/upload-selfie", {"file": big(selfie("grace"))}, bearer)
    assert answer.json == {"status": "received"}
    assert watch.seen == NOTHING_HELD


def test_while_photos_are_uploaded(world: World, api: Api, watch: Watch, send: Send) -> None:
    event_id = world.event()
    files = [big(content) for _, content in photos_with("grace", 3)]
    owner = api.login("photographer@example.com")
    bearer = {"Authorization": f"Bearer {owner.token}"}
    path = f"/api/photographer/events/{event_id}/upload-photos"
    answer = send(Browser(world.app), path, {"files": files[:2]}, bearer)
    assert [row["status"] for row in answer.json["files"]] == ["accepted"] * 2
    assert watch.seen == NOTHING_HELD
    browser = Browser(world.app).sign_in("photographer@example.com", PASSWORD)
    form = {"csrf_token": browser.token(f"/studio/events/{event_id}"), "files": files[2]}
    assert send(browser, f"/studio/events/{event_id}/photos", form, {}).status_code == 200
    assert watch.seen == NOTHING_HELD


def test_while_workers_look_at_pictures_and_guests_at_faces(world: World, api: Api, watch: Watch) -> None:
    world.add_photos(world.event(), *photos_with("grace", 2))
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    watch.seen.clear()
    world.work()
    assert watch.seen == {"store": {0}}
    match_id = guest.get("/my-photos").json[0]["match_id"]
    watch.seen.clear()
    browser = Browser(world.app).sign_in("ada", PASSWORD)
    assert browser.get(f"/media/crops/{match_id}").status_code == 200
    assert watch.seen == {"store": {0}}


# --- jobs and their rows ---


def test_jobs_are_not_there_before_their_rows_are(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is quicker than the commit would find nothing, and a commit that fails leaves no job behind."""
    (photo_id,) = world.add_photos(world.event(), *photos_with("grace", 1))
    world.work()
    commit, waiting = db.session.commit, []

    def late_commit() -> None:
        waiting.append(queueing.queue("photos").count)
        commit()

    monkeypatch.setattr(db.session, "commit", late_commit)
    with app.app_context():
        with unit_of_work():
            enqueue_after_commit(INDEX_PHOTO, str(photo_id))
        assert waiting == [0]
        assert queueing.queue("photos").count == 1
