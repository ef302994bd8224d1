"""Workers are killed at random points, PostgreSQL is restarted in the middle of their jobs.

What is in the database at the end equals an undisturbed run, on either kind of database.
"""

import random
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests.actors import demo_photos, selfie
from tests.product import Product, photographer, register, running
from tests.servers import Postgres

PHOTOS = 20

FACTS = {
    "photos": "SELECT filename, status, failure_reason, width, height, faces_count FROM photo ORDER BY filename",
    "renditions": """SELECT p.filename, r.kind, r.width, r.height, r.byte_size FROM rendition r
                     JOIN photo p ON p.id = r.photo_id ORDER BY 1, 2""",
    "faces": """SELECT p.filename, f.ordinal, f.box_x, f.box_y, f.size, f.weak, v.vector
                FROM face f JOIN photo p ON p.id = f.photo_id JOIN face_vector v ON v.face_id = f.id ORDER BY 1, 2""",
    "matches": """SELECT e.name, p.filename, f.ordinal, m.band, m.verdict, m.similarity FROM match m
                  JOIN person e ON e.id = m.person_id JOIN face f ON f.id = m.face_id
                  JOIN photo p ON p.id = m.photo_id ORDER BY 1, 2, 3""",
    "selfies": """SELECT e.name, s.status, s.reason FROM selfie s JOIN person e ON e.id = s.person_id ORDER BY 1""",
}
QUICK = {"SWEEP_INTERVAL": "2"}
"""What was lost with a worker is looked for more often than in an installation, so that nobody waits for it here."""

Outcome = dict[str, list[tuple[object, ...]]]
DONE = "SELECT count(*) FROM photo WHERE status = 'indexed'"
WAITING = "SELECT count(*) FROM person WHERE match_wanted <> match_done"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The rows of a run in which nothing happened."""
    with running(tmp_path_factory.mktemp("undisturbed")) as product:
        _hand_in(product)
        return _outcome(product)


@pytest.fixture
def on(postgres_server: Postgres, tmp_path: Path) -> Callable[[str], AbstractContextManager[Product]]:
    """Starts the product on a new database of either kind."""

    def start(kind: str) -> AbstractContextManager[Product]:
        if kind == "sqlite":
            return running(tmp_path / "data", **QUICK)
        name = f"findme_{secrets.token_hex(4)}"
        postgres_server.connect().execute(f"CREATE DATABASE {name}".encode()).connection.close()
        return running(tmp_path / "data", DATABASE_URL=f"{postgres_server.url}/{name}", **QUICK)

    return start


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 1), ("postgresql", 2)])
def test_killed_workers_lose_and_double_nothing(
    kind: str, seed: int, on: Callable[[str], AbstractContextManager[Product]], undisturbed: Outcome
) -> None:
    dice = random.Random(seed)
    with on(kind) as product:
        _hand_in(product)
        for _ in range(3):
            time.sleep(dice.uniform(0.2, 1.5))
            product.kill_worker(dice.choice(product.workers() or _wait_for_workers(product)))
        assert _outcome(product) == undisturbed


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_restarts_of_postgresql_in_the_middle_of_jobs_lose_and_double_nothing(
    postgres_server: Postgres, on: Callable[[str], AbstractContextManager[Product]], undisturbed: Outcome
) -> None:
    with on("postgresql") as product:
        _hand_in(product)
        workers = product.workers()
        with _visitor(product) as answers:
            for how in (signal.SIGINT, signal.SIGQUIT):
                _wait_for(product, "SELECT count(*) FROM photo WHERE status = 'indexing'")
                postgres_server.stop(how)
                _wait_until(lambda: answers[-1] == 503)  # people and workers have met the gap
                postgres_server.start()
                _wait_until(lambda: answers[-1] == 200)
            assert _outcome(product) == undisturbed
        assert set(answers) == {200, 503}
        assert product.workers() == workers


@contextmanager
def _visitor(product: Product) -> Iterator[list[int]]:
    """Somebody who opens a page again and again; the statuses of the answers."""
    answers = [0]
    over = threading.Event()

    code = product.rows("SELECT code FROM event")[0][0]

    def visit() -> None:
        while not over.wait(0.05):
            page = requests.get(f"{product.url}/e/{code}", timeout=60)
            assert "Traceback" not in page.text
            answers.append(page.status_code)

    with ThreadPoolExecutor(1) as thread:
        visits = thread.submit(visit)
        try:
            yield answers
        finally:
            over.set()
            visits.result(90)
    answers.remove(0)


def _wait_for(product: Product, query: str) -> None:
    """Until a count is more than nothing."""
    _wait_until(lambda: product.rows(query)[0][0])


def _wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def _hand_in(product: Product) -> None:
    owner = photographer(product)
    event = owner.post("/photographer/events", json={"name": "Party", "date": "2026-06-20"})
    for person in ("grace", "eileen"):
        register(product, event["code"], person).upload_selfie(selfie(person))
    for name, content in demo_photos(PHOTOS):
        owner.upload(event["id"], name, content)


def _outcome(product: Product) -> Outcome:
    product.wait(DONE, PHOTOS)
    product.wait(WAITING, 0)
    return {name: [_rounded(row) for row in product.rows(query)] for name, query in FACTS.items()}


def _rounded(row: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(round(value, 4) if isinstance(value, float) else value for value in row)


def _wait_for_workers(product: Product) -> list[psutil.Process]:
    _wait_until(product.workers)
    return product.workers()
