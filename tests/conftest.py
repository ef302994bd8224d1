"""What all tests stand on: a real database, a real Redis, real models, and a real RQ worker.

Each test gets an empty database at the newest migration, an emptied Redis, and the process's app, as it was when it was
new. Which database a test runs on, and how often, tests.support.databases says.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from xdist.remote import Producer

from jobs import tasks
from tests import summary
from tests.cloud.s3_fixtures import moto_server, seaweedfs_server  # noqa: F401 - pytest finds fixtures here
from tests.schedule import OneProductAtATime, order_of
from tests.support import databases, faces, shared_servers
from tests.support.actors import Api, World
from tests.support.process_app import ProcessApps
from tests.support.servers import Valkey, valkey
from tests.support.settings import make_settings
from webapp import create_app, queueing
from webapp.settings import Settings


def pytest_configure(config: pytest.Config) -> None:
    """Make what all processes of this run share, unless this is one of the processes."""
    gc.set_threshold(50_000, 20, 20)  # looking for rings of dead objects at each step would cost a tenth
    if faces.SCRATCH in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="findme-tests-"))
    (folder / "templates").mkdir()
    servers = shared_servers.SharedServers(folder)
    os.environ |= {faces.SCRATCH: str(folder), shared_servers.ADDRESS: servers.address}
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.add_cleanup(servers.close)
    config.pluginmanager.register(summary)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses a database on each kind that it is meant for."""
    named = any("database_kind" in str(mark.args[:1]) for mark in metafunc.definition.iter_markers("parametrize"))
    if "database_kind" in metafunc.fixturenames and not named:
        both = metafunc.definition.get_closest_marker("both_databases") is not None
        metafunc.parametrize("database_kind", databases.wanted(both=both), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put them in the order in which they are dealt out."""
    items.sort(key=order_of)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneProductAtATime:
    """For `pytest -n`."""
    config.option.loadscopereorder = False  # by the number of tests: ours take from milliseconds to a minute
    return OneProductAtATime(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where the labelled faces are, everything can run that needs no other account: then a skip is a failure in CI."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") and faces.find_faces_dir():
        if "only root may" in str(report.longrepr):
            return report
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI has all it needs: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Valkey]:
    """One server for the whole run of this process."""
    with valkey() as server:
        yield server


@pytest.fixture(scope="session")
def all_databases(tmp_path_factory: pytest.TempPathFactory, redis_server: Valkey) -> Iterator[databases.Databases]:
    """SQLite and PostgreSQL, each migrated once for the run of this process."""
    folder = tmp_path_factory.mktemp("migrated")

    def migrate(url: str) -> None:
        app = create_app(make_settings(folder, redis_server.url, database_url=url))
        with app.app_context():
            from webapp.db.extensions import db

            upgrade()
            db.engine.dispose()

    def server() -> str:
        named = os.environ.get("TEST_DATABASE_URL", "")
        named = named.rpartition("/")[0] if named.count("/") > 2 else named
        return named or str(shared_servers.ask("postgresql"))

    here = databases.Databases(migrate, folder, server)
    yield here
    here.close()


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`; whatever asks for it, by itself or through `settings`, runs on what is wanted."""
    return str(request.param)


@pytest.fixture
def migrated(all_databases: databases.Databases, database_kind: str) -> databases.Template:
    """A database at the newest migration, to be copied."""
    return all_databases.template(database_kind)


@pytest.fixture
def redis_url(redis_server: Valkey) -> str:
    """An emptied Redis."""
    redis_server.client().flushall()
    return redis_server.url


@pytest.fixture
def settings(tmp_path: Path, all_databases: databases.Databases, database_kind: str, redis_url: str) -> Settings:
    """Settings with the process's emptied database, and a folder of the test's own."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    return make_settings(data_dir, redis_url, database_url=all_databases.cleared(database_kind))


@pytest.fixture(scope="session")
def process_apps(all_databases: databases.Databases) -> Iterator[ProcessApps]:
    """The apps of this process; they end before its databases do."""
    apps = ProcessApps()
    yield apps
    apps.close()


@pytest.fixture
def app(settings: Settings, process_apps: ProcessApps) -> Iterator[Flask]:
    """The process's app for these settings."""
    with process_apps.lent(settings) as app:
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript."""
    return app.test_client()


class _Worker(SimpleWorker):
    """RQ's, which does not listen for commands: there are none, and to stop listening takes up to a second."""

    def subscribe(self) -> None:
        pass


@pytest.fixture
def work(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run RQ's worker on what is queued until nothing is left; returns how many jobs were done.

    It is a real worker on the real queues; only its app is the test's, and it works in this process.
    """
    monkeypatch.setattr(tasks, "get_app", lambda: app)

    def run(*queues: str, limit: int | None = None) -> int:
        connection = queueing.connect(app.extensions["settings"])
        worker = _Worker(list(queues or queueing.QUEUES), connection=connection, serializer=JSONSerializer)
        done = 0
        worker.push_exc_handler(lambda job, *exc: True)
        original = worker.execute_job

        def counted(job, queue):  # type: ignore[no-untyped-def]
            nonlocal done
            done += 1
            return original(job, queue)

        worker.execute_job = counted  # type: ignore[method-assign]
        worker.work(burst=True, logging_level="WARNING", max_jobs=limit)
        return done

    return run


@pytest.fixture
def api(app: Flask) -> Api:
    """A client of the JSON API."""
    return Api(app)


@pytest.fixture
def world(app: Flask, work: Callable[..., int]) -> World:
    """Shortcuts to people, events and photos made through the services."""
    return World(app, work)
