"""The lines that ops follow: a request's id goes with it into its jobs, and on from them."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.support import faces
from tests.support.actors import Api, World, photos_with, selfie
from tests.support.settings import SECRET
from webapp import observability
from webapp.db.extensions import db
from webapp.queueing import connection, workers_alive
from webapp.services.recovery import sweeper
from webapp.settings import ROOT, Settings

RQ = Path(sys.executable).with_name("rq")
OWNER, ADMIN = "photographer@example.com", "admin@example.com"

Line = dict[str, Any]
Lines = Callable[..., list[Line]]


@pytest.fixture
def lines(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What this process has written since the last look, as in production's log; by event, if one is named."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    observability.configure_logging(app.extensions["settings"].model_copy(update={"environment": "production"}))

    def read(event: str = "") -> list[Line]:
        found = parsed(written.getvalue())
        written.seek(0)
        written.truncate()
        return [line for line in found if not event or line["event"] == event]

    return read


def parsed(log: str) -> list[Line]:
    """Our own lines; RQ's are of another form."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def of(found: list[Line], event: str) -> Line:
    """The one line of an event."""
    (line,) = [line for line in found if line["event"] == event]
    return line


def worker(settings: Settings) -> list[Line]:
    """A real worker as ops start it, until nothing is left to do; what it wrote."""
    (settings.data_dir / "models").symlink_to(faces.prepared() / "models")
    env = os.environ | {
        "ENVIRONMENT": "production",
        "PUBLIC_URL": "https://photos.example.com",
        "SECRET_KEY": SECRET,
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
    }
    command = [RQ, "worker", "-w", "jobs.worker.Worker", "-c", "jobs.rq_settings", "--burst", "selfies", "maintenance"]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=150)
    assert ended.returncode == 0, ended.stderr
    return parsed(ended.stderr)


@pytest.mark.slow
def test_a_request_is_followed_through_all_lines_into_a_real_worker(
    app: Flask, api: Api, world: World, work: Callable[..., int], settings: Settings, lines: Lines
) -> None:
    event_id = world.event()
    photos = photos_with("grace", 2)
    world.add_photos(event_id, *photos)
    work()
    guest = api.register("PARTY234", "ada")
    lines()
    request_id = guest.upload_selfie(selfie("grace")).headers["X-Request-Id"]
    enqueued = of(lines(), "matching.enqueued")
    done = worker(settings)
    started, finished = of(done, "matching.started"), of(done, "matching.finished")
    assert enqueued["trigger"] == "upload_selfie" and enqueued["job"].startswith("match_selfie-")
    for line in (enqueued, started, finished):
        assert (line["request_id"], line["trigger"]) == (request_id, "upload_selfie")
        assert line["timestamp"].endswith("Z") and line["level"] == "info"
    selfie_id = enqueued["job"].partition("-")[2]
    assert started["key"] == finished["key"] == [selfie_id]
    assert started["waited_ms"] >= 0 and finished["ms"] > 0
    assert (finished["added"], finished["removed"]) == (len(photos), 0)
    ready = of(done, "matching.workers_ready")
    assert ready["n"] == 1
    assert [line["event"] for line in done].index("matching.workers_ready") < done.index(started) < done.index(finished)
    said = json.dumps([enqueued, *done])
    assert "ada" not in said.lower() and "@" not in said, "ids only"
    with app.app_context():
        assert workers_alive() == 0, "it has gone"


def test_a_photo_s_upload_is_followed_to_those_whom_it_shows(
    api: Api, world: World, work: Callable[..., int], lines: Lines
) -> None:
    event_id = world.event()
    guest = api.register("PARTY234", "ada")
    guest.upload_selfie(selfie("grace"))
    work()
    lines()
    answer = api.login(OWNER).upload_photos(event_id, photos_with("grace", 1)[0])
    assert lines("matching.enqueued") == [], "nobody is looked for before the faces are known"
    work()
    found = lines()
    assert of(found, "matching.enqueued")["job"].startswith("match_person-")
    for event in ("matching.enqueued", "matching.started", "matching.finished"):
        line = of(found, event)
        assert (line["request_id"], line["trigger"]) == (answer.headers["X-Request-Id"], "photo")
    assert of(found, "matching.finished")["added"] == 1


@pytest.mark.parametrize(
    ("who", "path", "trigger"),
    [
        (OWNER, "/photographer/events/{}/rematch", "rematch_by_photographer"),
        (ADMIN, "/admin/events/{}/rematch", "rematch_by_admin"),
    ],
)
def test_a_rematch_is_followed_to_everybody(
    api: Api, world: World, work: Callable[..., int], lines: Lines, who: str, path: str, trigger: str
) -> None:
    from webapp.models import UserRole

    event_id = world.event()
    world.person(ADMIN, UserRole.ADMIN)
    for name, face in (("ada", "grace"), ("bea", "eileen")):
        api.register("PARTY234", name).upload_selfie(selfie(face))
    work()
    lines()
    answer = api.login(who).post(path.format(event_id))
    assert answer.status_code == 202
    work()
    found = [line for line in lines() if line["event"].startswith("matching.")]
    assert {(line["request_id"], line["trigger"]) for line in found} == {(answer.headers["X-Request-Id"], trigger)}
    events = [line["event"] for line in found]
    assert [events.count(f"matching.{step}") for step in ("enqueued", "started", "finished")] == [3, 2, 2]


def test_an_invitation_with_a_selfie_and_a_verdict_say_what_they_are(
    api: Api, world: World, work: Callable[..., int], lines: Lines
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    work()
    lines()
    form = {"username": "ada", "email": "ada@example.com", "password": "correct horse battery", "consent": "true"}
    files = {"event_code": "PARTY234", "file": (io.BytesIO(selfie("grace")), "me.jpg")}
    answer = api.post("/register-invite-with-selfie", data=form | files)
    assert answer.status_code == 201, answer.text
    assert of(lines(), "matching.enqueued")["trigger"] == "register_by_invitation"
    work()
    guest = Api(api.app, answer.json["access_token"])  # type: ignore[index]
    match_id = guest.get("/my-photos").json[0]["match_id"]  # type: ignore[index]
    lines()
    first = guest.post(f"/matches/{match_id}", json={"verdict": "rejected"})
    second = guest.post(f"/matches/{match_id}", json={"verdict": "confirmed"})
    assert (first.status_code, second.status_code) == (200, 200)
    enqueued = of(lines(), "matching.enqueued")
    work()
    started = of(lines(), "matching.started")
    for line in (enqueued, started):
        assert line["trigger"] == "verdict"
        assert line["request_id"] == first.headers["X-Request-Id"], "one job answers both: it is the first one's"


def test_what_the_sweeper_finds_has_ids_of_its_own(
    app: Flask, api: Api, world: World, work: Callable[..., int], lines: Lines
) -> None:
    world.event()
    asked = [api.register("PARTY234", name).upload_selfie(selfie("grace")) for name in ("ada", "bea")]
    with app.app_context():
        connection().flushall()
        lines()
        assert sweeper.sweep()
    enqueued = lines("matching.enqueued")
    assert [line["trigger"] for line in enqueued] == ["sweep", "sweep"]
    ids = {line["request_id"] for line in enqueued}
    assert len(ids) == 2 and not ids & {answer.headers["X-Request-Id"] for answer in asked}
    work()
    finished = lines("matching.finished")
    assert {line["request_id"] for line in finished} == ids
    assert {line["trigger"] for line in finished} == {"sweep"}


def test_matching_that_breaks_says_so(
    app: Flask, api: Api, world: World, work: Callable[..., int], lines: Lines
) -> None:
    """A fault of ours, not one of the picture's: the engine is none at all."""
    world.event()
    guest = api.register("PARTY234", "ada")
    request_id = guest.upload_selfie(selfie("grace")).headers["X-Request-Id"]
    app.extensions["face_engines"] = {"local": None}
    lines()
    work(limit=1)
    failed = of(lines(), "matching.failed")
    assert (failed["request_id"], failed["trigger"]) == (request_id, "upload_selfie")
    assert failed["error"] == "AttributeError" and failed["level"] == "error"


def test_every_name_of_a_trigger_is_an_endpoint_s(app: Flask) -> None:
    assert set(observability.TRIGGERS) <= set(app.view_functions)


@pytest.mark.both_databases
def test_an_error_of_the_database_is_logged_without_the_values_of_the_row(app: Flask, lines: Lines) -> None:
    """PostgreSQL says of a row that breaks a rule what is in it, such as an address."""
    row = {"public_id": "a-name-of-somebody", "secret": "x"}
    insert = text("INSERT INTO broken_rule VALUES (:public_id, :secret)")
    with app.app_context():
        db.session.execute(text("CREATE TABLE broken_rule (public_id TEXT PRIMARY KEY, secret TEXT)"))
        db.session.execute(insert, row)
        with pytest.raises(IntegrityError) as broken:
            db.session.execute(insert, row)
    structlog.get_logger().error("request.crashed", exc_info=broken.value)
    (line,) = lines("request.crashed")
    assert "IntegrityError" in line["exception"]
    assert "a-name-of-somebody" not in json.dumps(line)
