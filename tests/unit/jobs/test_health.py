"""The health check of the worker image: a heartbeat of a worker on this host."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq.utils import utcformat

from jobs.health import FRESH_SECONDS, find_fault
from jobs.worker import Worker
from tests.support.servers import Valkey
from tests.support.settings import SECRET

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def redis(redis_server: Valkey) -> Iterator[Redis]:
    client = redis_server.client()
    client.flushall()
    yield client
    client.flushall()


def register(redis: Redis, name: str, *, age: float = 1, **fields: str) -> None:
    at = utcformat(datetime.now(UTC) - timedelta(seconds=age))
    redis.sadd("rq:workers", f"rq:worker:{name}")
    redis.hset(f"rq:worker:{name}", mapping={"last_heartbeat": at, **fields})


def test_a_registered_worker_of_ours_is_found(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("ENVIRONMENT", "testing")
    worker = Worker(["photos"], connection=redis)
    worker.register_birth()
    assert find_fault(redis, socket.gethostname()) is None


def test_without_a_worker_it_is_a_fault(redis: Redis) -> None:
    assert find_fault(redis, "box") == "No worker of box is registered in Redis."


@pytest.mark.parametrize("name", ["other-1-abc123", "box-2-1-abc123", "box2-1-abc123"])
def test_workers_of_other_hosts_do_not_count(redis: Redis, name: str) -> None:
    register(redis, name)
    assert find_fault(redis, "box") == "No worker of box is registered in Redis."


def test_an_old_heartbeat_is_a_fault(redis: Redis) -> None:
    register(redis, "box-1-abc123", age=FRESH_SECONDS + 5)
    assert find_fault(redis, "box") == "The last heartbeat of a worker of box was 25 s ago."


def test_a_worker_that_has_ended_is_a_fault(redis: Redis) -> None:
    register(redis, "box-1-abc123", death=utcformat(datetime.now(UTC)))
    redis.sadd("rq:workers", "rq:worker:box-2-abc123")
    assert find_fault(redis, "box") == "The workers of box that are registered in Redis have ended."


def test_one_of_two_workers_is_enough(redis: Redis) -> None:
    register(redis, "box-1-abc123", age=100)
    register(redis, "box-2-abc123")
    assert find_fault(redis, "box") is None


def test_the_command_ends_with_a_status_and_a_sentence(redis: Redis, redis_server: Valkey, tmp_path: Path) -> None:
    assert _status(redis_server.url, tmp_path) == (1, f"No worker of {socket.gethostname()} is registered in Redis.\n")
    register(redis, f"{socket.gethostname()}-1-abc123")
    assert _status(redis_server.url, tmp_path) == (0, "")


def test_a_redis_that_is_away_is_a_fault(tmp_path: Path) -> None:
    assert _status("redis://127.0.0.1:1", tmp_path) == (1, "Redis does not answer: ConnectionError.\n")


def _status(redis_url: str, data_dir: Path) -> tuple[int, str]:
    env = {"PATH": os.environ["PATH"], "SECRET_KEY": SECRET, "REDIS_URL": redis_url, "DATA_DIR": str(data_dir)}
    done = subprocess.run([sys.executable, "-m", "jobs.health"], cwd=ROOT, env=env, capture_output=True, text=True)
    return done.returncode, done.stderr
