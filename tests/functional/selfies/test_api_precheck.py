"""Asking whether a picture would do as a selfie: a worker says, nothing is kept, and nobody waits for long."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from tests.support import faces
from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import Browser
from tests.support.servers import valkey
from webapp import create_app, queueing
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.faces import Engine
from webapp.faces.local.analyzer import LocalFaceAnalyzer
from webapp.faces.local.index import LocalFaceIndex
from webapp.pictures import imaging
from webapp.reasons import SENTENCES
from webapp.services.selfies import precheck
from webapp.settings import Settings


def picture(color: tuple[int, int, int] = (120, 125, 130)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (800, 800), color).save(target, "JPEG")
    return target.getvalue()


def ask(api: Api, content: bytes, **fields: str) -> TestResponse:
    return api.post("/validate-selfie", data={"file": (io.BytesIO(content), "me.jpg")} | fields)


def kept(app: Flask) -> list[str]:
    return list(app.extensions["blobs"].keys(""))


@contextmanager
def worker(app: Flask, work: Callable[..., int]) -> Iterator[None]:
    """Somebody who works on the queue of selfies meanwhile."""
    over = threading.Event()

    def serve() -> None:
        waiting = queueing.connect(app.extensions["settings"])
        while not over.wait(0.01):
            if waiting.llen("rq:queue:selfies"):
                with app.app_context():
                    for job in queueing.queue(queueing.SELFIES).get_jobs():
                        precheck.judge(job.args[0])
                        job.delete()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def warm(app: Flask) -> None:
    """A worker has its models in memory before the first picture comes."""
    frame = np.zeros((320, 320, 3), dtype=np.uint8)
    app.extensions["face_engines"]["local"].onlooker.look_at_selfie(frame)


@pytest.mark.usefixtures("warm")
def test_a_worker_says_whether_it_would_do_and_why_not(
    app: Flask, api: Api, work: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precheck, "PATIENCE", 60)  # what is tested is the answer, not this machine's speed
    with worker(app, work):
        good, bad = ask(api, selfie("grace")), ask(api, picture())
    assert good.status_code == 200
    assert good.json == {"valid": True, "reason": None, "detail": str(SENTENCES["selfie_fits"])}
    assert bad.status_code == 200
    assert bad.json == {"valid": False, "reason": "no_face", "detail": str(SENTENCES["no_face"])}
    assert kept(app) == []


@pytest.fixture
def no_templates(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's engine is the real one, which remembers nothing, and fails where it makes a template of a face."""
    blind = LocalFaceAnalyzer(faces.analyzer().detector, None)  # type: ignore[arg-type]
    monkeypatch.setitem(app.extensions["face_engines"], "local", Engine(blind, LocalFaceIndex(), onlooker=blind))


@pytest.mark.usefixtures("no_templates")
@pytest.mark.parametrize("angle", [None, "front", "left", "right"])
def test_no_template_of_the_face_is_made(
    app: Flask, api: Api, work: Callable[..., int], monkeypatch: pytest.MonkeyPatch, angle: str | None
) -> None:
    monkeypatch.setattr(precheck, "PATIENCE", 60)
    with worker(app, work):
        answer = ask(api, selfie("grace"), **({"angle": angle} if angle else {}))
    assert answer.json["valid"] is True
    frame = imaging.decode(io.BytesIO(selfie("grace")), max_megapixels=80).frame
    with pytest.raises(AttributeError):
        app.extensions["face_engines"]["local"].analyzer.check_selfie(frame)


@pytest.mark.parametrize(("angle", "reason"), [("front", "turned_away"), ("left", None), ("right", None)])
def test_a_turned_head_is_fine_where_it_was_asked_for(
    app: Flask,
    api: Api,
    work: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    no_templates: None,
    angle: str,
    reason: str | None,
) -> None:
    monkeypatch.setattr(precheck, "PATIENCE", 60)
    monkeypatch.setattr("webapp.faces.local.analyzer.head_turn", lambda _: 0.6)
    with worker(app, work):
        assert ask(api, selfie("grace"), angle=angle).json["reason"] == reason
    assert kept(app) == []


def test_an_unknown_angle_is_told_before_the_picture_is_kept(app: Flask, api: Api) -> None:
    for angle in ("up", "", "left/../../x", "0" * 2000):
        answer = ask(api, selfie("grace"), angle=angle)
        assert (answer.status_code, answer.json["code"]) == (422, "angle_invalid"), angle
    assert queueing.connect(app.extensions["settings"]).llen("rq:queue:selfies") == 0
    assert kept(app) == []


def test_a_job_of_the_version_before_is_answered(app: Flask, no_templates: None) -> None:
    with app.app_context():
        app.extensions["blobs"].put("prechecks/65f0-abcdefgh", io.BytesIO(selfie("grace")))
        precheck.judge("65f0-abcdefgh")
    assert app.extensions["redis"].lrange("findme:precheck:65f0-abcdefgh", 0, -1) == [b"fine"]
    assert 0 < app.extensions["redis"].ttl("findme:precheck:65f0-abcdefgh") <= 10
    assert kept(app) == []


def test_the_request_removes_the_picture_of_a_worker_that_was_killed(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precheck, "PATIENCE", 1)
    seen: list[list[str]] = []
    wait = precheck._wait
    monkeypatch.setattr(precheck, "_wait", lambda *asked: seen.append(kept(app)) or wait(*asked))
    assert ask(api, selfie("grace")).status_code == 202
    assert [len(there) for there in seen] == [1], "it lay there while the request waited"
    assert kept(app) == []


def test_the_worker_removes_the_picture_of_a_request_that_was_killed(
    app: Flask, api: Api, work: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precheck, "PATIENCE", 0.1)
    store = app.extensions["blobs"]
    with monkeypatch.context() as killed:
        killed.setattr(store, "delete", lambda _: None)
        assert ask(api, selfie("grace"), angle="left").status_code == 202
    assert len(kept(app)) == 1
    assert work(queueing.SELFIES) == 1
    assert kept(app) == []


def test_a_picture_that_both_left_behind_goes_after_ten_minutes(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precheck, "PATIENCE", 0.1)
    with monkeypatch.context() as killed:
        killed.setattr(app.extensions["blobs"], "delete", lambda _: None)
        ask(api, selfie("grace"), angle="right")
    with app.app_context():
        assert precheck.forget_left_behind() == 0
        later = utcnow() + timedelta(seconds=precheck.LEFT_BEHIND + 2)
        monkeypatch.setattr(precheck, "utcnow", lambda: later)
        assert precheck.forget_left_behind() == 1
    assert kept(app) == []


def test_the_jobs_of_the_queue_are_these(app: Flask, api: Api, work: Callable[..., int]) -> None:
    assert ask(api, selfie("grace")).status_code == 202
    # Nobody waits any more when the worker comes: it finds nothing to look at, and tells nobody.
    assert work(queueing.SELFIES) == 1
    assert kept(app) == []
    assert app.extensions["redis"].keys("findme:precheck:*") == []


def test_files_that_are_no_picture_are_told_without_a_worker(app: Flask, api: Api) -> None:
    files = {
        "text": (b"I am a text file.", "not_a_picture"),
        "empty": (b"", "empty"),
        "head only": (picture()[:30], "truncated"),
        "too heavy": (picture() + b"\0" * 16_000_000, "selfie_too_large"),
    }
    for name, (content, reason) in files.items():
        answer = ask(api, content)
        assert answer.status_code == 200, name
        assert answer.json == {"valid": False, "reason": reason, "detail": str(SENTENCES[reason])}, name
    assert queueing.connect(app.extensions["settings"]).llen("rq:queue:selfies") == 0
    assert kept(app) == []
    assert ask(api, b"\0" * 65 * 1024 * 1024).status_code == 413
    assert api.post("/validate-selfie", data={}).json["code"] == "invalid"


def test_without_a_worker_the_answer_is_that_it_is_not_known(app: Flask, api: Api) -> None:
    answer = ask(api, picture())
    assert answer.status_code == 202
    assert answer.json == {"valid": None, "reason": "checking", "detail": str(SENTENCES["checking"])}
    assert kept(app) == []


def test_only_some_may_wait_at_once(app: Flask, api: Api) -> None:
    content, answers = picture(), []
    threads = [threading.Thread(target=lambda: answers.append(ask(api, content))) for _ in range(precheck.AT_ONCE)]
    for thread in threads:
        thread.start()
    queue = queueing.connect(app.extensions["settings"])
    deadline = time.monotonic() + 30
    while queue.llen("rq:queue:selfies") < precheck.AT_ONCE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ask(api, content).status_code == 202
    assert queue.llen("rq:queue:selfies") == precheck.AT_ONCE, "one more did not even ask"
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * precheck.AT_ONCE
    assert kept(app) == []


class Watched(io.BytesIO):
    """A request's body that notes how many places were free whenever it was read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.free: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        self.free.append(free_places())
        return super().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        self.free.append(free_places())
        return super().readline(size)

    def readinto(self, target: bytearray) -> int:  # type: ignore[override]
        self.free.append(free_places())
        return super().readinto(target)


def free_places() -> int:
    taken = 0
    while precheck.enter():
        taken += 1
    for _ in range(taken):
        precheck.leave()
    return taken


def send(client: FlaskClient, body: Watched) -> TestResponse:
    return client.post(
        "/api/validate-selfie",
        input_stream=body,
        content_type="multipart/form-data; boundary=x",
        headers={"Content-Length": str(len(body.getvalue()))},
    )


def form(content: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="me.jpg"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n"


@pytest.mark.parametrize("signed_in", [False, True])
def test_a_place_is_taken_before_the_first_byte_is_read(app: Flask, world: World, signed_in: bool) -> None:
    client = app.test_client()
    if signed_in:
        world.person("ada@example.com")
        browser = Browser(app)
        browser.sign_in("ada@example.com", PASSWORD)
        client = browser.client
    body = Watched(form(b"no picture"))
    answer = send(client, body)
    # The session of a browser needs the page's token, which is looked for in the form.
    assert answer.json["code" if signed_in else "reason"] == ("csrf" if signed_in else "not_a_picture")
    assert set(body.free) == {precheck.AT_ONCE - 1}
    assert free_places() == precheck.AT_ONCE
    for _ in range(precheck.AT_ONCE):
        assert precheck.enter()
    try:
        unread = Watched(form(picture()))
        busy = send(client, unread)
    finally:
        for _ in range(precheck.AT_ONCE):
            precheck.leave()
    assert busy.status_code == 202
    assert busy.json == {"valid": None, "reason": "checking", "detail": str(SENTENCES["checking"])}
    assert unread.free == []


def test_a_place_is_given_back_whatever_happens(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.post("/validate-selfie", data={}).status_code == 422
    assert api.post("/validate-selfie", data=b"x", content_type="text/plain").status_code == 415
    assert ask(api, b"\0" * 65 * 1024 * 1024).status_code == 413
    monkeypatch.setattr(app.extensions["blobs"], "put", lambda *_: 1 / 0)
    assert ask(api, picture()).status_code == 500
    assert free_places() == precheck.AT_ONCE


def test_while_redis_is_away_it_is_not_known(settings: Settings) -> None:
    with valkey() as own:
        app = create_app(settings.model_copy(update={"redis_url": own.url}))
        own.stop()
        with pytest.raises(redis.ConnectionError):
            app.extensions["redis"].ping()
        assert ask(Api(app), picture()).status_code == 202
    assert kept(app) == []
    with app.app_context():
        db.engine.dispose()
