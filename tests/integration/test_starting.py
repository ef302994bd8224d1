"""How web server and worker start beside parts that are away, not ready, or another installation's."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from flask import Flask
from redis import Redis

from tests.cloud.s3_servers import moto
from tests.support import faces
from tests.support.databases import Databases
from tests.support.servers import Valkey, free_port
from webapp.db.database import beside
from webapp.db.extensions import db
from webapp.errors import ConfigurationError
from webapp.ops import identity, starting
from webapp.redis_keys import INSTALLATION
from webapp.settings import ROOT, Settings

BIN = Path(sys.executable).parent
WEB = [str(BIN / "gunicorn"), "-c", "python:webapp.gunicorn_conf", "wsgi:app"]
WORKER = [str(BIN / "rq"), "worker", "-w", "jobs.worker.Worker", "-c", "jobs.rq_settings", "selfies"]
MIGRATE = [str(BIN / "flask"), "--app", "wsgi", "db", "upgrade"]
BOTH = pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])


class Started:
    """A process of an installation, with what it writes."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.log, self.env = log, env
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=file, process_group=0)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def until(self, text: str, seconds: float = 40) -> None:
        """Wait until it has written a text."""
        deadline = time.monotonic() + seconds
        while text not in self.said:
            assert self.process.poll() is None or text in self.said, f"it ended:\n{self.said}"
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.said}"
            time.sleep(0.05)

    def ended(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path, redis_server: Valkey, all_databases: Databases) -> Iterator[Start]:
    """Starts processes on a migrated SQLite; changes are settings by their names in the environment."""
    redis_server.client().flushall()
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    all_databases.template("sqlite").copy(data_dir)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    base = kept | {
        "ENVIRONMENT": "development",
        "SECRET_KEY": "x" * 40,
        "DATA_DIR": str(data_dir),
        "REDIS_URL": redis_server.url,
        "PORT": str(free_port()),
        "WORKERS": "1",
        "START_WAIT": "3",
    }
    processes: list[Started] = []

    def run(command: list[str], **changes: str) -> Started:
        env = {name: value for name, value in (base | changes).items() if value}
        processes.append(Started(command, env, tmp_path / f"log-{len(processes)}"))
        return processes[-1]

    yield run
    for process in processes:
        process.end()


def is_served(started: Started) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{started.env['PORT']}/api/health/live", timeout=2).ok
    except requests.RequestException:
        return False


# --- what is waited for ---


@BOTH
def test_a_database_that_is_away_is_waited_for_and_then_given_up(command: list[str], start: Start) -> None:
    started = start(command, DATABASE_URL=f"postgresql://findme:hidden@127.0.0.1:{free_port()}/findme")
    assert started.ended() == (3 if command is WEB else 1)
    assert "The database (PostgreSQL, 127.0.0.1:" in started.said
    assert "hidden" not in started.said and "Traceback" not in started.said
    assert "Gave up after 3 s" in started.said or "gave up: The database" in started.said
    assert not is_served(started)


@BOTH
def test_a_database_without_tables_is_waited_for_until_it_is_migrated(
    command: list[str], start: Start, tmp_path: Path
) -> None:
    empty = f"sqlite:///{tmp_path / 'empty.sqlite'}"
    started = start(command, DATABASE_URL=empty, START_WAIT="60")
    started.until("The database is empty, and this version of FindMe needs")
    assert start(MIGRATE, DATABASE_URL=empty).ended() == 0
    started.until("Booting worker" if command is WEB else "matching.workers_ready")
    assert started.process.poll() is None


def test_a_worker_that_finds_no_redis_gives_up(start: Start) -> None:
    started = start(WORKER, REDIS_URL=f"redis://:hidden@127.0.0.1:{free_port()}/0")
    assert started.ended() == 1
    assert "Redis does not take jobs" in started.said and "hidden" not in started.said


@pytest.mark.parametrize("url", ["cache.example.com:6379", "redis://localhost:port"])
def test_an_address_of_redis_that_is_none_is_refused(url: str, start: Start) -> None:
    started = start(WORKER, REDIS_URL=url)
    assert started.ended() == 1
    assert "can't be used: REDIS_URL" in started.said and "Traceback" not in started.said


def test_pages_are_served_without_redis(start: Start) -> None:
    started = start(WEB, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    started.until("Pages work without it")
    started.until("Booting worker")
    deadline = time.monotonic() + 20
    while not is_served(started):
        assert time.monotonic() < deadline, started.said
        time.sleep(0.1)


@BOTH
def test_a_bucket_that_can_not_be_written_to_is_given_up(command: list[str], start: Start) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden", "START_WAIT": "1"}
    store = {"BLOB_STORE": "s3", "S3_BUCKET": "party", "S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    started = start(command, **keys, **store)
    assert started.ended(120) in (1, 3)
    assert "The store (bucket party) can't be written to" in started.said and "hidden" not in started.said


def test_a_worker_that_was_ready_goes_on_without_its_store(start: Start, tmp_path: Path) -> None:
    """Mails are sent, and deaths recorded, while a bucket is away."""
    (tmp_path / "data" / "models").symlink_to(faces.prepared() / "models")
    with moto() as server:
        server.make_bucket("party")
        store = {name.upper(): str(value) for name, value in server.settings("party").items()}
        worker = start(WORKER, START_WAIT="1", **store)
        worker.until("matching.workers_ready")
    (horse,) = psutil.Process(worker.process.pid).children()
    horse.kill()
    deadline = time.monotonic() + 40
    while worker.said.count("matching.workers_ready") < 2:
        assert worker.process.poll() is None and time.monotonic() < deadline, worker.said
        time.sleep(0.1)


# --- what is refused at once ---


@BOTH
def test_a_database_of_a_newer_version_is_refused(command: list[str], start: Start, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "data" / "findme.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    started = start(command, START_WAIT="60")
    assert started.ended() in (1, 3)
    assert "The database is at revision 9999, newer than this version of FindMe" in started.said
    assert "Traceback" not in started.said


@BOTH
def test_a_redis_of_another_installation_is_refused(command: list[str], start: Start, redis_server: Valkey) -> None:
    redis_server.client().set(INSTALLATION, "another")
    started = start(command, START_WAIT="60")
    assert started.ended() in (1, 3)
    assert "another installation uses (its id: another" in started.said
    assert "findme adopt-redis" in started.said and "Traceback" not in started.said
    assert redis_server.client().get(INSTALLATION) == b"another"


@BOTH
def test_local_photos_with_workers_elsewhere_are_refused(command: list[str], start: Start, tmp_path: Path) -> None:
    (tmp_path / "data" / "models").symlink_to(faces.prepared() / "models")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    assert start([*WORKER, "--burst"]).ended() == 0
    database = f"sqlite:///{tmp_path / 'data' / 'findme.sqlite'}"
    started = start(command, DATA_DIR=str(tmp_path / "elsewhere"), DATABASE_URL=database)
    assert started.ended() == (3 if command is WEB else 1)
    assert "Web and workers on several machines need BLOB_STORE=s3" in started.said and "Traceback" not in started.said


@BOTH
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY is missing or shorter"),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "/nowhere/key"}, "SECRET_KEY_FILE=/nowhere/key can't be read"),
        ({"ENVIRONMENT": "production", "PUBLIC_URL": "http://here.example.org"}, "PUBLIC_URL must be the https://"),
        ({"RENDER": "true"}, "BLOB_STORE must be s3 on Render"),
        ({"WORKERS": "many"}, "These settings can't be used: WORKERS"),
    ],
)
def test_settings_that_can_not_be_used_end_in_a_sentence(
    command: list[str], start: Start, changes: dict[str, str], sentence: str
) -> None:
    started = start(command, **changes)
    assert started.ended() != 0
    assert sentence in started.said and "Traceback" not in started.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a volume that is read-only")
@BOTH
def test_a_volume_that_is_read_only_is_refused(command: list[str], start: Start, tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    subprocess.run(["mount", "--bind", data_dir, data_dir], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", data_dir], check=True)
        started = start(command)
        assert started.ended() in (1, 3)
        assert f"DATA_DIR={data_dir} can't be written to" in started.said and "Traceback" not in started.said
    finally:
        subprocess.run(["umount", data_dir], check=True)


def test_commands_say_what_is_wrong_with_the_settings(start: Start) -> None:
    started = start([str(BIN / "flask"), "--app", "wsgi", "findme", "sweep"], SECRET_KEY="short")
    assert started.ended() == 1
    assert started.said.startswith("Error: SECRET_KEY is missing") and "Traceback" not in started.said


# --- notices ---


@BOTH
def test_settings_without_effect_are_said_once(command: list[str], start: Start) -> None:
    started = start(command, BCRYPT_ROUNDS="4", WORKER_CLASS="uvicorn.workers.UvicornWorker", TRUSTED_PROXYS="1")
    started.until("Booting worker" if command is WEB else "Listening on")
    for name in (
        "BCRYPT_ROUNDS is ignored",
        "WORKER_CLASS=uvicorn.workers.UvicornWorker is ignored",
        "TRUSTED_PROXYS is set",
    ):
        assert started.said.count(name) == 1


# --- the id of an installation ---


def check(app: Flask, **changes: Any) -> None:
    settings: Settings = app.extensions["settings"]
    starting.check_parts(settings.model_copy(update=changes), needs_redis=True)


@pytest.mark.both_databases
def test_the_first_installation_keeps_a_redis_until_it_is_adopted(app: Flask, settings: Settings) -> None:
    client = Redis.from_url(settings.redis_url)
    check(app)
    check(app)
    ours = client.get(INSTALLATION)
    with app.app_context(), beside(db.engine) as connection:
        assert identity.of_database(connection).encode() == ours
    client.set(INSTALLATION, "another")
    with pytest.raises(ConfigurationError, match="another installation uses"):
        check(app)
    told = app.test_cli_runner().invoke(args=["findme", "adopt-redis"])
    assert told.exit_code == 0 and client.get(INSTALLATION) == ours
    check(app)


def test_a_redis_that_came_back_empty_is_ours_again(app: Flask, settings: Settings) -> None:
    client = Redis.from_url(settings.redis_url)
    check(app)
    ours = client.get(INSTALLATION)
    client.flushall()
    check(app)
    assert client.get(INSTALLATION) == ours


# --- the doctor ---

DOCTOR = [str(BIN / "flask"), "--app", "wsgi", "findme", "doctor", "--json"]


def findings(started: Started) -> dict[str, Any]:
    """The report on stdout; what goes to stderr stands before it."""
    return dict(json.loads(started.said[started.said.index("{\n") :]))


def test_the_doctor_is_there_where_the_settings_can_not_be_used(start: Start) -> None:
    started = start(DOCTOR, SECRET_KEY="short")
    assert started.ended() == 1 and "Traceback" not in started.said
    report = findings(started)
    assert report["healthy"] is False
    found = {finding["name"]: finding["state"] for finding in report["findings"]}
    assert found["settings"] == "fail" and found["database"] == "ok", "the rest is looked at all the same"


def test_a_setting_that_is_none_is_the_doctor_s_one_finding(start: Start) -> None:
    started = start(DOCTOR, WORKERS="many")
    assert started.ended() == 1
    (finding,) = findings(started)["findings"]
    assert (finding["name"], finding["state"]) == ("settings", "fail") and "WORKERS" in finding["sentence"]


def test_the_doctor_says_that_the_store_can_not_be_made(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data" / "blobs").write_text("a file where a folder should be")
    started = start(DOCTOR)
    assert started.ended() == 1 and "Traceback" not in started.said
    assert {finding["name"] for finding in findings(started)["findings"] if finding["state"] == "fail"} >= {"store"}


def test_the_doctor_is_content_with_a_running_installation(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data" / "models").symlink_to(faces.prepared() / "models")
    port = str(free_port())
    env = {"PORT": port, "PUBLIC_URL": f"http://127.0.0.1:{port}", "START_WAIT": "30"}
    running = [start(WEB, **env), *(start([*WORKER, "photos", "mail", "maintenance"], **env) for _ in range(2))]
    running[0].until("Booting worker")
    for worker in running[1:]:
        worker.until("matching.workers_ready")
    deadline = time.monotonic() + 20
    while not is_served(running[0]):
        assert time.monotonic() < deadline, running[0].said
        time.sleep(0.1)
    started = start(DOCTOR, **env)
    assert started.ended() == 0, started.said
    found = {finding["name"]: finding["state"] for finding in findings(started)["findings"]}
    assert {name for name, state in found.items() if state != "ok"} == {"redis persistence"}, (
        "the tests' Redis keeps none"
    )
    assert {"public address", "proxies", "workers", "local engine", "store"} <= set(found)


# --- several workers in one service ---

POOL = [sys.executable, "-m", "jobs.pool"]


def pids(started: Started) -> list[int]:
    return [child.pid for child in psutil.Process(started.process.pid).children()]


def test_a_pool_keeps_as_many_workers_as_it_is_told(start: Start, redis_server: Valkey, tmp_path: Path) -> None:
    (tmp_path / "data" / "models").symlink_to(faces.prepared() / "models")
    pool = start(POOL, MATCHING_PROCESSES="2", START_WAIT="30")
    pool.until("starting 2 workers")
    deadline = time.monotonic() + 40
    while pool.said.count("matching.workers_ready") < 2:
        assert time.monotonic() < deadline, pool.said
        time.sleep(0.1)
    for order in ("selfies, mail, maintenance, photos", "selfies, photos, mail, maintenance"):
        assert order in pool.said
    first, second = pids(pool)
    os.kill(first, signal.SIGKILL)
    pool.until("ended (status -9), starting it again")
    while len(pids(pool)) < 2:
        assert time.monotonic() < deadline + 20, pool.said
        time.sleep(0.1)
    assert second in pids(pool)
    alive = pids(pool)
    pool.process.terminate()
    assert pool.ended(30) == 0
    assert [pid for pid in alive if psutil.pid_exists(pid)] == []


def test_a_pool_whose_workers_refuse_ends(start: Start, redis_server: Valkey) -> None:
    redis_server.client().set(INSTALLATION, "another")
    pool = start(POOL, MATCHING_PROCESSES="2")
    assert pool.ended() == 1
    assert "another installation uses" in pool.said
    refused = start(POOL, SECRET_KEY="short")
    assert refused.ended() == 1 and refused.said.startswith("SECRET_KEY is missing")
