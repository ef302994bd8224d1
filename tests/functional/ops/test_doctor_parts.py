"""What the doctor says of database, Redis, clock, disk and secrets in each state that they can be in."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from rq.suspension import suspend
from rq.worker import SimpleWorker
from sqlalchemy import text

from tests.functional.ops.doctoring import found, one, states
from tests.support.servers import REFUSALS, Valkey, free_port, valkey
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Transient
from webapp.ops import starting
from webapp.ops.doctor import database_checks, machine_checks, redis_checks, settings_checks, worker_checks
from webapp.ops.doctor.examining import examine
from webapp.redis_keys import INSTALLATION
from webapp.settings import Settings

DATABASE = (database_checks.check_database, database_checks.check_migrations)
REDIS = (redis_checks.check_redis,)
ON_POSTGRESQL = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.fixture
def own_redis(settings: Settings) -> Iterator[tuple[Valkey, Settings]]:
    """A server that a test may spoil, and settings that lead to it."""
    with valkey() as server:
        yield server, settings.model_copy(update={"redis_url": server.url})


# --- settings and secrets ---


def test_settings_that_are_refused_fail_and_those_without_effect_are_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one(settings, settings_checks.check_settings).state == "ok"
    refused = found(
        settings, settings_checks.check_settings, environment="production", public_url="http://photos.example.com"
    )
    assert [(finding.state, "PUBLIC_URL" in finding.sentence) for finding in refused] == [("fail", True)]
    monkeypatch.setenv("BCRYPT_ROUNDS", "4")
    ignored = one(settings, settings_checks.check_settings)
    assert ignored.state == "warn" and "BCRYPT_ROUNDS is ignored" in ignored.sentence


def test_development_for_everybody_is_a_warning(settings: Settings) -> None:
    open_to_all = one(
        settings, settings_checks.check_settings, environment="development", public_url="https://a.example"
    )
    assert open_to_all.state == "warn" and "ENVIRONMENT=development" in open_to_all.sentence


def test_a_file_with_secrets_that_others_can_read(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SECRET_KEY=x")
    (tmp_path / ".env").chmod(0o644)
    exposed = one(settings, settings_checks.check_secrets)
    assert exposed.state == "warn" and exposed.mend == "chmod 600 .env"
    (tmp_path / ".env").chmod(0o600)
    assert one(settings, settings_checks.check_secrets).state == "ok"
    key = tmp_path / "key"
    key.write_text("x" * 40)
    key.chmod(0o640)
    monkeypatch.setenv("SECRET_KEY_FILE", str(key))
    assert one(settings, settings_checks.check_secrets).mend == f"chmod 600 {key}"


def test_a_demo_in_production(settings: Settings) -> None:
    (settings.data_dir / "demo.json").write_text("{}")
    assert one(settings, settings_checks.check_secrets).state == "ok"
    (settings.data_dir / "demo.json").write_text('{"event_code": "DEMO2026"}')
    production = found(settings, settings_checks.check_secrets, environment="production")
    assert "holds a demo" in production[0].sentence and production[0].state == "warn"


def test_another_user_s_installation_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = tmp_path / "theirs"
    data_dir.mkdir()
    monkeypatch.setenv("DATA_DIR", str(data_dir))
    monkeypatch.setattr(settings_checks.os, "geteuid", lambda: data_dir.stat().st_uid + 1)
    (finding,) = examine()
    assert (finding.name, finding.state) == ("user", "fail")
    assert list(data_dir.iterdir()) == []


# --- database ---


@pytest.mark.both_databases
def test_a_database_that_is_well(app: Flask, settings: Settings) -> None:
    findings = found(settings, *DATABASE, database_checks.check_connections)
    assert set(states(findings).values()) == {"ok"}
    assert "hidden" not in str(findings)


def test_a_database_that_is_away_and_all_that_needs_it(settings: Settings) -> None:
    away = f"postgresql+psycopg://findme:hidden@127.0.0.1:{free_port()}/findme"
    findings = found(settings, *DATABASE, database_checks.check_connections, database_url=away)
    assert states(findings) == {"database": "fail"}
    assert "hidden" not in findings[0].sentence and "127.0.0.1" in findings[0].sentence


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("revision", "mend"), [("0001", "flask --app wsgi db upgrade"), ("9999", "Start the newer version of FindMe.")]
)
def test_a_database_of_another_version(app: Flask, settings: Settings, revision: str, mend: str) -> None:
    with app.app_context(), db.engine.connect() as connection:
        kept = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        connection.commit()
        try:
            finding = one(settings, *DATABASE)
        finally:
            connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": kept})
            connection.commit()
    assert (finding.name, finding.state, finding.mend) == ("migrations", "fail", mend)
    assert revision in finding.sentence


@ON_POSTGRESQL
@pytest.mark.parametrize(("workers", "state"), [(1, "ok"), (7, "warn"), (50, "fail")])
def test_more_processes_than_postgresql_has_connections_for(
    app: Flask, settings: Settings, workers: int, state: str
) -> None:
    finding = one(settings, *DATABASE, database_checks.check_connections, workers=workers)
    assert (finding.name, finding.state) == ("connections", state)
    assert f"× {workers} web processes × 24" in finding.sentence, "no more than it has threads"


@ON_POSTGRESQL
def test_a_database_that_is_read_only_a_standby_for_one(app: Flask, settings: Settings) -> None:
    with app.app_context(), db.engine.connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        connection.commit()
        try:
            finding = one(settings, database_checks.check_database)
            with pytest.raises(Transient, match="takes no writes"):
                starting.check_parts(settings, needs_redis=False)
        finally:
            connection.execute(text("SET transaction_read_only = off"))
            connection.execute(text(f"ALTER DATABASE {name} RESET default_transaction_read_only"))
            connection.commit()
    assert finding.state == "fail" and "read-only" in finding.sentence


def test_a_file_of_sqlite_that_is_not_there_is_not_made(settings: Settings, tmp_path: Path) -> None:
    missing = tmp_path / "none.sqlite"
    finding = one(settings, *DATABASE, database_url=f"sqlite:///{missing}")
    assert finding.state == "fail" and finding.mend == "flask --app wsgi db upgrade" and not missing.exists()


@ON_POSTGRESQL
def test_a_user_of_the_database_without_rights(app: Flask, settings: Settings) -> None:
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(text("CREATE ROLE nobody_here LOGIN"))
        connection.commit()
        try:
            url = db.engine.url.set(username="nobody_here").render_as_string(hide_password=False)
            finding = one(settings, *DATABASE, database_url=url)
        finally:
            connection.execute(text("DROP ROLE nobody_here"))
            connection.commit()
    assert finding.state == "fail" and "permission denied" in finding.sentence and "SELECT" not in finding.sentence


# --- Redis ---


def test_a_redis_that_is_away(settings: Settings) -> None:
    findings = found(
        settings,
        *REDIS,
        redis_checks.check_redis_memory,
        redis_checks.check_redis_persistence,
        worker_checks.check_workers,
        redis_url=f"redis://:hidden@127.0.0.1:{free_port()}",
    )
    assert states(findings) == {"redis": "fail", "workers": "warn"}
    assert "hidden" not in str(findings)


@pytest.mark.parametrize("refuse", REFUSALS, ids=lambda refuse: refuse.__name__)
def test_a_redis_that_refuses_jobs(own_redis: tuple[Valkey, Settings], refuse: object) -> None:
    server, settings = own_redis
    refuse(server)  # type: ignore[operator]
    assert one(settings, *REDIS).state == "fail"
    server.make_well()
    assert one(settings, *REDIS).state == "ok"


@pytest.mark.parametrize(
    ("policy", "most", "state"),
    [
        ("noeviction", 0, "ok"),
        ("noeviction", 2**30, "ok"),
        ("allkeys-lru", 0, "warn"),
        ("allkeys-lru", 2**30, "fail"),
        ("volatile-ttl", 2**30, "fail"),
    ],
)
def test_a_redis_that_may_evict_jobs(own_redis: tuple[Valkey, Settings], policy: str, most: int, state: str) -> None:
    server, settings = own_redis
    server.client().config_set("maxmemory-policy", policy)
    server.client().config_set("maxmemory", most)
    finding = one(settings, *REDIS, redis_checks.check_redis_memory)
    assert finding.state == state and (policy in finding.sentence)


def test_a_redis_that_is_nearly_full(own_redis: tuple[Valkey, Settings]) -> None:
    server, settings = own_redis
    used = server.client().info("memory")["used_memory"]
    server.client().config_set("maxmemory", int(used * 1.1))
    finding = one(settings, *REDIS, redis_checks.check_redis_memory)
    assert finding.state == "warn" and "nearly full" in finding.sentence


def test_a_redis_that_forgets_and_one_that_can_not_write(own_redis: tuple[Valkey, Settings]) -> None:
    server, settings = own_redis
    checks = (*REDIS, redis_checks.check_redis_persistence)
    assert one(settings, *checks).state == "warn"
    server.client().config_set("appendonly", "yes")
    assert one(settings, *checks).state == "ok"
    server.client().config_set("appendonly", "no")
    (server.folder / "dump.rdb").mkdir()
    server.client().bgsave()
    deadline = time.monotonic() + 10
    while (finding := one(settings, *checks)).state != "fail":
        assert time.monotonic() < deadline, finding
        time.sleep(0.05)
    assert "rdb_last_bgsave_status" in finding.sentence


def test_a_redis_of_another_installation(app: Flask, settings: Settings) -> None:
    checks = (*DATABASE, *REDIS, redis_checks.check_installation)
    assert "no id yet" in one(settings, *checks).sentence
    starting.check_parts(settings, needs_redis=True)
    assert "belong to one installation" in one(settings, *checks).sentence
    Redis.from_url(settings.redis_url).set(INSTALLATION, "another")
    finding = one(settings, *checks)
    assert (finding.name, finding.state) == ("installation", "fail")
    assert "findme adopt-redis" in finding.mend


# --- workers and queues ---


def worker(settings: Settings, *queues: str) -> None:
    client = Redis.from_url(settings.redis_url)
    listened = [Queue(name, connection=client, serializer=JSONSerializer) for name in queues]
    SimpleWorker(listened, connection=client, name="-".join(queues) + str(time.monotonic())).register_birth()


def test_workers_that_are_missing(settings: Settings) -> None:
    checks = (*REDIS, worker_checks.check_workers)
    assert one(settings, *checks).state == "fail"
    worker(settings, "selfies", "mail")
    lacking = one(settings, *checks)
    assert lacking.state == "fail" and "serves maintenance, photos" in lacking.sentence
    worker(settings, "photos", "maintenance")
    assert one(settings, *checks).state == "ok"


def test_workers_that_are_suspended(settings: Settings) -> None:
    worker(settings, "selfies", "mail", "photos", "maintenance")
    suspend(Redis.from_url(settings.redis_url))
    finding = one(settings, *REDIS, worker_checks.check_workers)
    assert finding.state == "fail" and "rq resume" in finding.mend


def test_one_worker_is_one_too_few(settings: Settings) -> None:
    worker(settings, "selfies", "mail", "photos", "maintenance")
    assert one(settings, *REDIS, worker_checks.check_workers).state == "warn"


@pytest.mark.parametrize(
    ("name", "seconds", "state"),
    [
        ("selfies", 5, "ok"),
        ("selfies", 90, "warn"),
        ("selfies", 900, "fail"),
        ("photos", 900, "ok"),
        ("photos", 5000, "warn"),
    ],
)
def test_jobs_that_wait_for_long(settings: Settings, name: str, seconds: int, state: str) -> None:
    queue = Queue(name, connection=Redis.from_url(settings.redis_url), serializer=JSONSerializer)
    job = queue.enqueue("jobs.tasks.sweep")
    job.enqueued_at = utcnow() - timedelta(seconds=seconds)
    job.save()
    assert one(settings, *REDIS, worker_checks.check_queues).state == state


def test_jobs_that_failed(settings: Settings) -> None:
    client = Redis.from_url(settings.redis_url)
    queue = Queue("mail", connection=client, serializer=JSONSerializer)
    queue.enqueue("tests.no_such_function")
    SimpleWorker([queue], connection=client, serializer=JSONSerializer).work(burst=True)
    finding = one(settings, *REDIS, worker_checks.check_queues)
    assert finding.state == "warn" and "1 jobs of mail failed" in finding.sentence


# --- the machine ---


@pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (5, "warn"), (60, "fail"), (-60, "fail")])
def test_a_clock_that_is_wrong(
    app: Flask, settings: Settings, seconds: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_checks, "utcnow", lambda: utcnow() + timedelta(seconds=seconds))
    finding = one(settings, *DATABASE, *REDIS, machine_checks.check_clock)
    assert (finding.name, finding.state) == ("clock", state)


@pytest.mark.parametrize(("short", "state"), [(-10_000, "ok"), (-100, "warn"), (10_000, "fail")])
def test_a_disk_that_is_full(settings: Settings, short: int, state: str) -> None:
    free = os.statvfs(settings.data_dir)
    reserve = free.f_bavail * free.f_frsize // 2**20 + short
    disk, temporary = found(settings, machine_checks.check_disk, upload_reserve_mb=max(0, reserve))
    assert (disk.name, disk.state, temporary.state) == ("disk", state, "ok")


def test_folders_that_can_not_be_written_to(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_checks.tempfile, "tempdir", str(tmp_path / "gone"))
    disk, temporary = found(settings, machine_checks.check_disk, data_dir=tmp_path / "not-there")
    assert (disk.state, temporary.state) == ("fail", "fail")
