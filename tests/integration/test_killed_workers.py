"""Workers are killed with SIGKILL at random points; what is in the database at the end equals an undisturbed run."""

import random
import time
from pathlib import Path

import pytest

from tests.actors import demo_photos, selfie
from tests.product import Product, photographer, register, running

PHOTOS = 20

FACTS = {
    "photos": "SELECT filename, status, failure_reason, width, height, faces_count FROM photo ORDER BY filename",
    "renditions": """SELECT p.filename, r.kind, r.width, r.height, r.byte_size FROM rendition r
                     JOIN photo p ON p.id = r.photo_id ORDER BY 1, 2""",
    "faces": """SELECT p.filename, f.ordinal, round(f.box_x, 4), round(f.box_y, 4), f.size, f.weak, hex(v.vector)
                FROM face f JOIN photo p ON p.id = f.photo_id JOIN face_vector v ON v.face_id = f.id ORDER BY 1, 2""",
    "matches": """SELECT e.name, p.filename, f.ordinal, m.band, m.verdict, round(m.similarity, 4) FROM match m
                  JOIN person e ON e.id = m.person_id JOIN face f ON f.id = m.face_id
                  JOIN photo p ON p.id = m.photo_id ORDER BY 1, 2, 3""",
    "selfies": """SELECT e.name, s.status, s.reason FROM selfie s JOIN person e ON e.id = s.person_id ORDER BY 1""",
}
DONE = "SELECT count(*) FROM photo WHERE status = 'indexed'"
WAITING = "SELECT count(*) FROM person WHERE match_wanted <> match_done"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    """The rows of a run in which nothing happened."""
    with running(tmp_path_factory.mktemp("undisturbed")) as product:
        _hand_in(product)
        return _outcome(product)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_workers_lose_and_double_nothing(
    seed: int, tmp_path: Path, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    dice = random.Random(seed)
    with running(tmp_path / "data") as product:
        _hand_in(product)
        for _ in range(3):
            time.sleep(dice.uniform(0.2, 1.5))
            product.kill_worker(dice.choice(product.workers() or _wait_for_workers(product)))
        assert _outcome(product) == undisturbed


def _hand_in(product: Product) -> None:
    owner = photographer(product)
    event = owner.post("/photographer/events", json={"name": "Party", "date": "2026-06-20"})
    for person in ("grace", "eileen"):
        register(product, event["code"], person).upload_selfie(selfie(person))
    for name, content in demo_photos(PHOTOS):
        owner.upload(event["id"], name, content)


def _outcome(product: Product) -> dict[str, list[tuple[object, ...]]]:
    product.wait(DONE, PHOTOS)
    product.wait(WAITING, 0)
    return {name: product.rows(query) for name, query in FACTS.items()}


def _wait_for_workers(product: Product) -> list:  # type: ignore[type-arg]
    deadline = time.monotonic() + 30
    while not (found := product.workers()):
        assert time.monotonic() < deadline, "no worker came back"
        time.sleep(0.1)
    return found
