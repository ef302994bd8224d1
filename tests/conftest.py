"""What all tests stand on: a real database, a real Redis, real models, and a real RQ worker.

Each test gets a migrated database of its own (a copy of one that is migrated once), an emptied Redis, and an app. What
uses a database runs twice, on SQLite and on PostgreSQL (see tests.databases).
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
from jinja2 import FileSystemBytecodeCache
from pydantic import SecretStr
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from jobs import tasks
from tests import databases, faces
from tests.actors import Api, World
from tests.cloud.s3_fixtures import moto_server, seaweedfs_server  # noqa: F401
from tests.servers import Valkey, valkey
from webapp import create_app, queueing
from webapp.faces import Engine
from webapp.faces.local.index import LocalFaceIndex
from webapp.settings import Settings

SECRET = "tests-only-" + "s" * 40


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that all processes of this run share, unless this is one of the processes."""
    config.addinivalue_line("markers", "one_database: nothing in it depends on the kind of database")
    gc.set_threshold(
        50_000, 20, 20
    )  # apps come and go by the hundred: looking for their rings at each step costs a tenth
    if faces.SCRATCH not in os.environ:
        folder = tempfile.mkdtemp(prefix="findme-faces-")
        (Path(folder) / "templates").mkdir()
        os.environ[faces.SCRATCH] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slowest first, so that parallel runs end together; of what is marked `one_database`, one kind."""
    doubled = [item for item in items if _is_doubled(item)]
    if doubled:
        config.hook.pytest_deselected(items=doubled)
        items[:] = [item for item in items if not _is_doubled(item)]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def _is_doubled(item: pytest.Item) -> bool:
    """PostgreSQL is the one that stays, since it is the stricter."""
    kind = getattr(item, "callspec", None) and item.callspec.params.get("database_kind")  # type: ignore[attr-defined]
    return bool(kind) and item.get_closest_marker("one_database") is not None and kind != databases.wanted()[-1]


class OneProductAtATime(LoadScopeScheduling):
    """How xdist deals tests out to processes: what shares a started product or server stays in one of them.

    xdist's own groups by mark have no effect with pytest 9.2, which keeps the id that they would be written into.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        room = module.split("/")[1]
        return room if room == "browser" else module if room in ("integration", "contract") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneProductAtATime:
    """For `pytest -n`."""
    return OneProductAtATime(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where the labelled faces are, everything can run: then a skipped test is a failure in CI."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") and faces.find_faces_dir():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI has all it needs: {report.longrepr}"
    return report


def make_settings(data_dir: Path, redis_url: str, **changes: object) -> Settings:
    """Settings of a test: nothing comes from the environment but what is named here."""
    values = {
        "environment": "testing",
        "data_dir": data_dir,
        "secret_key": SecretStr(SECRET),
        "redis_url": redis_url,
        "database_url": f"sqlite:///{data_dir / databases.SQLITE_FILE}",
        "public_url": "http://localhost",
    }
    return Settings(_env_file=None, **(values | changes))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Valkey]:
    """One server for the whole run of this process."""
    with valkey() as server:
        yield server


@pytest.fixture(scope="session")
def all_databases(tmp_path_factory: pytest.TempPathFactory, redis_server: Valkey) -> Iterator[databases.Databases]:
    """SQLite and PostgreSQL, started and migrated once for the run of this process."""
    folder = tmp_path_factory.mktemp("migrated")

    def migrate(url: str) -> None:
        app = create_app(make_settings(folder, redis_server.url, database_url=url))
        with app.app_context():
            from webapp.extensions import db

            upgrade()
            db.engine.dispose()

    here = databases.Databases(migrate, folder)
    yield here
    here.close()


@pytest.fixture(params=databases.wanted())
def database_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite`, then `postgresql`: whatever asks for it, by itself or through `settings`, runs on both."""
    return str(request.param)


@pytest.fixture
def migrated(all_databases: databases.Databases, database_kind: str) -> databases.Template:
    """A database at the newest migration, to be copied."""
    return all_databases.migrated(database_kind)


@pytest.fixture
def redis_url(redis_server: Valkey) -> str:
    """An emptied Redis."""
    redis_server.client().flushall()
    return redis_server.url


@pytest.fixture
def settings(tmp_path: Path, migrated: databases.Template, redis_url: str) -> Iterator[Settings]:
    """Settings with a database and a folder of the test's own."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    database_url = migrated.copy(data_dir)
    yield make_settings(data_dir, redis_url, database_url=database_url)
    migrated.discard(database_url)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """An app whose jobs find the models loaded, and whose templates are compiled already."""
    app = create_app(settings)
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(faces.scratch() / "templates"))
    app.extensions["face_engines"] = {"local": Engine(faces.remembering(), LocalFaceIndex())}
    yield app
    with app.app_context():
        from webapp.extensions import db

        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript."""
    return app.test_client()


@pytest.fixture
def work(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run RQ's worker on what is queued until nothing is left; returns how many jobs were done.

    It is a real worker on the real queues; only its app is the test's, and it works in this process.
    """
    monkeypatch.setattr(tasks, "get_app", lambda: app)

    def run(*queues: str, limit: int | None = None) -> int:
        connection = queueing.connect(app.extensions["settings"])
        worker = SimpleWorker(list(queues or queueing.QUEUES), connection=connection, serializer=JSONSerializer)
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
