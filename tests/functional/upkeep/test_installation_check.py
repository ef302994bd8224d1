"""Processes that don't see the same blobs refuse to start, with a sentence that says what to do."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from tests.cloud.s3_servers import S3Server
from tests.support.servers import free_port
from webapp import create_app
from webapp.db.extensions import db
from webapp.errors import ConfigurationError
from webapp.models import InstallationFact
from webapp.services.upkeep.installation_check import adopt_store, check_blob_store
from webapp.settings import ROOT, Settings
from webapp.storage.local import LocalBlobStore

Machine = Callable[..., Flask]
BUCKET = {"blob_store": "s3", "s3_bucket": "party-photos", "aws_region": "eu-west-1"}


@pytest.fixture
def machine(settings: Settings, tmp_path: Path) -> Iterator[Machine]:
    """Another machine of the installation: the same database, and a folder of its own or a shared one."""
    started: list[Flask] = []

    def start(name: str, **changes: object) -> Flask:
        values = settings.model_dump() | {"data_dir": tmp_path / name} | changes
        started.append(create_app(Settings(_env_file=None, **values)))
        return started[-1]

    yield start
    for app in started:
        with app.app_context():
            db.engine.dispose()


def check(app: Flask) -> None:
    with app.app_context():
        check_blob_store()


def fact(app: Flask) -> str | None:
    with app.app_context():
        return db.session.scalar(select(InstallationFact.value).where(InstallationFact.name == "blob_store"))


def test_the_first_process_says_which_store_it_is(app: Flask) -> None:
    assert fact(app) is None
    check(app)
    check(app)
    assert fact(app) == app.extensions["blobs"].identity
    assert str(fact(app)).startswith("local:")


def test_a_machine_with_a_folder_of_its_own_refuses(app: Flask, machine: Machine) -> None:
    check(app)
    other = machine("worker-machine")
    with pytest.raises(ConfigurationError) as caught:
        check(other)
    for part in ("BLOB_STORE=s3", "DATA_DIR/blobs", "flask --app wsgi findme adopt-store", "nothing is started"):
        assert part in str(caught.value)
    assert fact(app) == app.extensions["blobs"].identity


def test_a_machine_with_the_shared_folder_starts(app: Flask, machine: Machine, tmp_path: Path) -> None:
    check(app)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "blobs").symlink_to(app.extensions["settings"].blobs_dir)
    check(machine("second"))


def test_machines_with_one_bucket_start_and_others_refuse(machine: Machine) -> None:
    first = machine("one", **BUCKET)
    check(first)
    check(machine("two", **BUCKET))
    assert fact(first) == "s3:party-photos"
    with pytest.raises(ConfigurationError, match=r"the bucket other-photos.*the bucket party-photos"):
        check(machine("three", **BUCKET | {"s3_bucket": "other-photos"}))
    with pytest.raises(ConfigurationError, match=r"the local folder with the id .*the bucket party-photos"):
        check(machine("four"))


def test_a_move_that_is_meant(app: Flask, machine: Machine) -> None:
    check(app)
    moved = machine("moved", **BUCKET)
    with pytest.raises(ConfigurationError):
        check(moved)
    told = moved.test_cli_runner().invoke(args=["findme", "adopt-store"])
    assert told.exit_code == 0 and "s3:party-photos" in told.output
    check(moved)
    with pytest.raises(ConfigurationError):
        check(app)


def test_adopting_works_on_a_new_installation(app: Flask) -> None:
    with app.app_context():
        assert adopt_store() == app.extensions["blobs"].identity
    check(app)


def test_of_machines_that_start_first_together_one_wins(machine: Machine) -> None:
    apps = [machine(f"machine-{number}") for number in range(4)]

    def starts(app: Flask) -> bool:
        try:
            check(app)
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(starts, apps))
    assert started.count(True) == 1
    assert fact(apps[0]) == apps[started.index(True)].extensions["blobs"].identity


def test_a_database_that_is_not_migrated_is_somebody_elses_matter(machine: Machine, tmp_path: Path) -> None:
    check(machine("new", database_url=f"sqlite:///{tmp_path / 'empty.sqlite'}"))
    with pytest.raises(OperationalError):
        check(machine("lost", database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing"))


# --- where processes start ---


def run(settings: Settings, *command: str) -> subprocess.CompletedProcess[str]:
    """A process of an installation, told by its environment; one that goes on is ended after some seconds."""
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    env |= {
        "ENVIRONMENT": "development",
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "PORT": str(free_port()),
        "WORKERS": "2",
    }
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90)


@pytest.fixture
def elsewhere(settings: Settings, app: Flask, tmp_path: Path) -> Settings:
    """The settings of a second machine, whose folder is not the installation's."""
    check(app)
    (tmp_path / "elsewhere").mkdir()
    return settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})


SENTENCE = "Web and workers on several machines need BLOB_STORE=s3"


def test_a_web_server_elsewhere_ends(elsewhere: Settings) -> None:
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    ended = run(elsewhere, gunicorn, "-c", "python:webapp.gunicorn_conf", "wsgi:app")
    assert ended.returncode == 3
    assert SENTENCE in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_elsewhere_gets_no_app(elsewhere: Settings, settings: Settings) -> None:
    command = (sys.executable, "-c", "from jobs.runtime import get_app; print(get_app().name)")
    refused = run(elsewhere, *command)
    assert refused.returncode != 0
    assert SENTENCE in refused.stderr
    assert run(settings, *command).stdout.strip() == "webapp"


def test_s3_is_checked_without_a_word_to_the_store(machine: Machine, moto_server: S3Server) -> None:
    check(machine("away", **moto_server.settings("not-there") | {"s3_endpoint_url": "http://127.0.0.1:1"}))


def test_the_id_survives_a_restart_and_goes_with_the_folder(tmp_path: Path) -> None:
    before = LocalBlobStore(tmp_path / "blobs").identity
    assert (tmp_path / "blobs" / ".store-id").read_text() in before
    assert LocalBlobStore(tmp_path / "blobs").identity == before
