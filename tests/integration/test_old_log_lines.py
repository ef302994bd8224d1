"""docs/log-lines.md against the log of the real product in production mode.

Every line that it names is written, with the fields that it names, and the old system's two fatal lines are not.
"""

import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.support.actors import photos_with, photos_without, selfie
from tests.support.product import PASSWORD, QUICK, Client, Product, photographer, running
from tests.support.servers import Valkey, valkey

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "log-lines.md").read_text(encoding="utf-8")

Line = dict[str, Any]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading of the guide."""
    section = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def fields_by_event(heading: str) -> dict[str, set[str]]:
    return {row[1].strip("`"): set(re.findall(r"`(\w+)`", row[3])) for row in table(heading)}


NORMAL = fields_by_event("In every run")
FAULTS = fields_by_event("When something is wrong")
FATAL = [row[0].strip("`") for row in table("Lines that must not appear")]


def test_the_guide_names_the_old_system_s_lines() -> None:
    for old in ("[MATCH-SELFIE] START", "Matching scheduled in thread pool", "ERROR submitting to thread pool"):
        assert old in GUIDE
    assert FATAL == ["WORKER TIMEOUT", "code 134"]
    assert len(NORMAL) == 5 and len(FAULTS) == 6


class Run:
    """A running product and what it has logged."""

    def __init__(self, product: Product, redis: Valkey) -> None:
        self.product = product
        self.redis = redis
        self.owner = photographer(product)
        self.event = self.owner.post("/photographer/events", json={"name": "Party", "date": "2026-06-20"})

    def text(self) -> str:
        return "\n".join(path.read_text() for path in (self.product.data_dir / "logs").glob("*.log"))

    def lines(self, event: str) -> list[Line]:
        found = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def wait_for(self, event: str, seconds: float = 60) -> Line:
        deadline = time.monotonic() + seconds
        while not (found := self.lines(event)):
            assert time.monotonic() < deadline, f"no {event} in {seconds} s"
            time.sleep(0.2)
        return found[-1]

    def upload(self, *photos: tuple[str, bytes]) -> None:
        for name, content in photos:
            self.owner.upload(self.event["id"], name, content)

    def join(self, name: str) -> requests.Response:
        """Register a guest with the code and a selfie in one call."""
        form = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "consent": "true"}
        return requests.post(
            f"{self.product.url}/api/register-invite-with-selfie",
            data=form | {"event_code": self.event["code"]},
            files={"file": ("me.jpg", selfie("grace"))},
            timeout=60,
        )

    def refuse_inserts(self, table_name: str) -> Callable[[], None]:
        """Let the database fail at new rows of a table; returns what ends that."""
        self._execute(
            f"CREATE TRIGGER broken BEFORE INSERT ON \"{table_name}\" BEGIN SELECT RAISE(FAIL, 'broken'); END"
        )
        return lambda: self._execute("DROP TRIGGER broken")

    def _execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.product.data_dir / "findme.sqlite", timeout=30)) as connection:
            connection.execute(statement)
            connection.commit()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    settings = QUICK | {"ENVIRONMENT": "production", "PUBLIC_URL": "https://photos.example.com"}
    with (
        valkey() as redis,
        running(tmp_path_factory.mktemp("log-lines") / "data", REDIS_URL=redis.url, **settings) as product,
    ):
        yield Run(product, redis)


@pytest.fixture(scope="module")
def joined(run: Run) -> requests.Response:
    """The answer to a registration with selfie at an event with photos of that guest, after the guest was matched."""
    run.upload(*photos_with("grace", 2))
    run.product.wait("SELECT count(*) FROM photo WHERE status = 'indexed'", 2)
    answer = run.join("ada")
    assert answer.status_code == 201, answer.text
    run.wait_for("matching.finished")
    return answer


@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize("event", NORMAL)
def test_a_registration_writes_each_line_with_its_fields(event: str, run: Run) -> None:
    assert run.wait_for(event).keys() >= NORMAL[event] | {"event", "level", "timestamp"}


def test_the_documented_command_follows_a_request_from_web_to_worker(joined: requests.Response, run: Run) -> None:
    commands = re.findall(r"^(grep -h .+/\*\.log)$", GUIDE, re.MULTILINE)
    assert len(commands) == 1
    command = commands[0].replace("REQUEST_ID", joined.headers["X-Request-Id"])
    command = command.replace("DATA_DIR", str(run.product.data_dir))
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert {"matching.enqueued", "matching.started", "matching.finished"} <= set(events)


def test_a_redis_that_takes_nothing_is_told_and_the_work_is_found_again(joined: requests.Response, run: Run) -> None:
    guest = Client(run.product.url, joined.json()["access_token"])
    run.redis.make_full()
    guest.upload_selfie(selfie("grace"))
    unreachable = run.wait_for("queue.unreachable")
    run.redis.make_well()
    assert unreachable.keys() >= FAULTS["queue.unreachable"]
    assert run.wait_for("sweep.enqueued").keys() >= FAULTS["sweep.enqueued"]


def test_matching_that_fails_is_told(joined: requests.Response, run: Run) -> None:
    mend = run.refuse_inserts("match")
    run.upload(*photos_with("grace", 3)[2:])
    failed = run.wait_for("matching.failed")
    mend()
    assert failed.keys() >= FAULTS["matching.failed"]


def test_a_request_that_fails_is_told(joined: requests.Response, run: Run) -> None:
    mend = run.refuse_inserts("consent")
    answer = run.join("bea")
    mend()
    assert answer.status_code == 500
    for event in ("request.crashed", "request.failed"):
        line = run.wait_for(event)
        assert line.keys() >= FAULTS[event]
        assert line["request_id"] == answer.headers["X-Request-Id"]


def test_a_job_process_that_aborts_is_told(joined: requests.Response, run: Run) -> None:
    """By the signal of the old system's code 134: 128 and SIGABRT."""
    for photo in photos_without("grace", 8):
        run.upload(photo)
        if _abort_at_work(run.product):
            break
    assert run.wait_for("claims.released").keys() >= FAULTS["claims.released"]
    run.product.wait("SELECT count(*) FROM photo WHERE status <> 'indexed'", 0)


def _abort_at_work(product: Product) -> bool:
    """Abort the workers' job processes while one of them has a photo."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if product.rows("SELECT count(*) FROM photo WHERE claim IS NOT NULL")[0][0]:
            horses = [child for worker in product.workers() for child in worker.children()]
            for horse in horses:
                _signal(horse, signal.SIGABRT)
            return bool(horses)
        time.sleep(0.01)
    return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass


def test_every_fault_of_the_guide_is_among_those_above() -> None:
    source = Path(__file__).read_text()
    assert [event for event in FAULTS if f'"{event}"' not in source] == []


@pytest.mark.usefixtures("joined")
def test_the_old_system_s_fatal_lines_are_nowhere(run: Run) -> None:
    """Last, after the faults."""
    text = run.text()
    assert len(text.splitlines()) > 20
    assert [line for line in FATAL if line in text] == []
