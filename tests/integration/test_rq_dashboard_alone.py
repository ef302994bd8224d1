"""rq-dashboard as a program of its own shows FindMe's jobs, by the command lines of docs/queues.md."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from rq.job import Job
from rq.serializers import JSONSerializer

from tests.support.actors import Api, World, selfie
from tests.support.servers import Valkey, free_port
from webapp import queueing

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "queues.md").read_text()
LINES = re.findall(r"^((?:RQ_\w+=\S+ )*\.venv/bin/rq-dashboard .+)$", GUIDE, re.MULTILINE)

PORT = "9181"


@contextmanager
def dashboard(line: str, *urls: tuple[str, str]) -> Iterator[str]:
    """Run a documented line with the test's port and Redis; `urls` are pairs of what is written and what is meant."""
    port = str(free_port())
    for written, meant in (*urls, (PORT, port)):
        line = line.replace(written, meant)
    words = shlex.split(line)
    given = dict(word.split("=", 1) for word in words if word.startswith("RQ_"))
    program, *options = words[len(given) :]
    command = [str(Path(sys.executable).with_name(Path(program).name)), *options]
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | given
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(url):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code in (200, 401)
    except requests.ConnectionError:
        return False


@pytest.fixture
def addresses(redis_server: Valkey) -> Iterator[tuple[tuple[str, str], ...]]:
    """The documented addresses of Redis, and where the test's server is; it listens on a port for a while."""
    port = free_port()
    redis_server.client().config_set("port", port)
    yield (
        ("redis://127.0.0.1:6379", f"redis://127.0.0.1:{port}"),
        ("unix:///var/lib/findme/redis.sock", redis_server.url),
    )
    redis_server.client().config_set("port", 0)


@pytest.fixture
def jobs(app: Flask, api: Api, world: World, work: Callable[..., int]) -> dict[str, str]:
    """Ids of a failed, a queued and a scheduled job of FindMe, by registry."""
    world.event()
    api.register("PARTY234", "ada").upload_selfie(selfie("grace"))
    app.extensions["face_engines"] = {"local": None}
    with app.app_context():
        (waiting,) = queueing.queue(queueing.SELFIES).get_jobs()
        waiting.retries_left = 0
        waiting.save()
    work(limit=1)
    with app.app_context():
        (failed,) = queueing.queue(queueing.SELFIES).failed_job_registry.get_job_ids()
        queueing.enqueue(queueing.MATCH_SELFIE, "waiting")
        later = queueing.queue(queueing.SELFIES).enqueue_in(
            timedelta(hours=1), queueing.MATCH_SELFIE.function, "later", job_id=queueing.MATCH_SELFIE.job_id("later")
        )
    return {"failed": failed, "queued": queueing.MATCH_SELFIE.job_id("waiting"), "scheduled": later.id}


def listed(url: str, registry: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{url}/0/data/jobs/selfies/{registry}/8/asc/1.json", timeout=10)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["jobs"]
    return found


def test_the_guide_has_lines_for_both_kinds_of_address() -> None:
    assert len(LINES) == 4
    assert all("--bind 127.0.0.1" in line and "--json" in line and "--disable-delete" in line for line in LINES)


@pytest.mark.parametrize("line", LINES[:3])
def test_a_documented_line_shows_our_jobs(
    line: str, jobs: dict[str, str], addresses: tuple[tuple[str, str], ...]
) -> None:
    with dashboard(line, *addresses) as url:
        for registry, job_id in jobs.items():
            assert [job["id"] for job in listed(url, registry)] == [job_id]
            page = requests.get(f"{url}/0/view/jobs/selfies/{registry}/8/asc/1", timeout=10)
            assert page.status_code == 200
            told = requests.get(f"{url}/0/data/job/{job_id}.json", timeout=10).json()
            assert told["description"].startswith("jobs.tasks.match_selfie(")
        failed = requests.get(f"{url}/0/data/job/{jobs['failed']}.json", timeout=10).json()
        assert "AttributeError" in failed["exc_info"]
        counts = requests.get(f"{url}/0/data/queues.json", timeout=10).json()["queues"]
        (queue,) = [each for each in counts if each["name"] == "selfies"]
        assert (queue["count"], queue["failed_job_registry_count"], queue["scheduled_job_registry_count"]) == (1, 1, 1)


def test_what_it_requeues_our_workers_can_read_and_it_deletes_nothing(
    app: Flask, jobs: dict[str, str], addresses: tuple[tuple[str, str], ...]
) -> None:
    with dashboard(LINES[0], *addresses) as url:
        requests.post(f"{url}/job/{jobs['queued']}/delete", timeout=10)
        requests.post(f"{url}/queue/selfies/queued/empty", timeout=10)
        assert requests.post(f"{url}/job/{jobs['failed']}/requeue", timeout=10).status_code == 200
        assert {job["id"] for job in listed(url, "queued")} == {jobs["queued"], jobs["failed"]}
    with app.app_context():
        job = Job.fetch(jobs["failed"], connection=queueing.connection(), serializer=JSONSerializer)
        assert job.args == [jobs["failed"].partition("-")[2]]


def test_without_json_a_job_s_data_are_an_error(jobs: dict[str, str], addresses: tuple[tuple[str, str], ...]) -> None:
    """If this fails, rq-dashboard has learned it, and the guide can leave `--json` out."""
    with dashboard(LINES[0].replace("--json ", ""), *addresses) as url:
        assert requests.get(f"{url}/0/data/job/{jobs['failed']}.json", timeout=10).status_code == 500


def test_with_a_password_it_refuses_calls_without(addresses: tuple[tuple[str, str], ...], redis_url: str) -> None:
    with dashboard(LINES[3], *addresses) as url:
        assert requests.get(url, timeout=10).status_code == 401
        assert requests.get(url, auth=("ops", "SECRET"), timeout=10).status_code == 200
