"""Workers get SIGKILL at seeded moments, Redis is emptied and PostgreSQL restarted in the middle of a batch: the end is
that of a quiet run, on either kind of database.

`make chaos` does the same with 500 photos, 200 moments and the settings of an installation.
"""

import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
import requests

from tests.chaos import points
from tests.chaos.points import Outcome, Party, until
from tests.support.product import QUICK, Client, Product, photographer, running
from tests.support.servers import Postgres, Valkey, postgres

PHOTOS = 12
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@dataclass
class Installation:
    """One product for all of them, with a Redis and a PostgreSQL that can be stopped, and what comes of an event in
    peace.
    """

    product: Product
    redis: Valkey
    database: Postgres | None
    owner: Client
    quiet: Outcome

    def party(self, name: str) -> Party:
        party = Party.make(self.product, name, self.owner)
        party.hand_in(points.photos(PHOTOS))
        return party

    def is_as_in_peace(self, party: Party) -> bool:
        """Let the work end and somebody decide; everything is then as if nothing had happened."""
        party.settle(120)
        party.decide()
        party.settle(60)
        assert party.outcome() == self.quiet
        return True


ON_SQLITE = pytest.mark.parametrize("here", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("here", ["postgresql"], indirect=True)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def here(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with ExitStack() as stack:
        redis, database, named = stack.enter_context(points.own_redis()), None, {}
        if request.param == "postgresql":
            database = stack.enter_context(postgres())
            named = {"DATABASE_URL": f"{database.url}/postgres"}
        folder = tmp_path_factory.mktemp("points") / "data"
        product = stack.enter_context(running(folder, REDIS_URL=redis.url, **QUICK, **named))
        here = Installation(product, redis, database, photographer(product), {})
        party = here.party("quiet")
        party.settle(90)
        party.decide()
        party.settle(30)
        here.quiet = party.outcome()
        assert here.quiet["orphans"] == []
        assert len(list(here.quiet["matches"])) > PHOTOS // 2  # type: ignore[call-overload]
        yield here


@ON_SQLITE
def test_workers_killed_at_seeded_moments_lose_and_double_nothing(here: Installation) -> None:
    dice, party = random.Random(5), here.party("killed")
    assert points.kill_often(party, dice, 3, PHOTOS).done >= 2
    party.settle(90)
    party.decide()
    points.kill(party, dice)
    party.owner.post(f"/photographer/events/{party.id}/rematch")
    party.settle(90)
    assert party.outcome() == here.quiet


@ON_POSTGRESQL
def test_workers_killed_on_postgresql_lose_and_double_nothing(here: Installation) -> None:
    dice, party = random.Random(2), here.party("killed")
    assert points.kill_often(party, dice, 3, PHOTOS).done >= 2
    assert here.is_as_in_peace(party)


@ON_SQLITE
def test_redis_emptied_in_the_middle_of_a_batch_without_a_restart(here: Installation) -> None:
    party = here.party("emptied")
    here.redis.client().flushall()
    assert party.indexed() < PHOTOS
    assert here.is_as_in_peace(party)


@ON_SQLITE
def test_redis_stopped_and_started_empty(here: Installation) -> None:
    party = here.party("stopped")
    points.restart_empty(here.redis, 1.0)
    assert party.indexed() < PHOTOS
    assert here.is_as_in_peace(party)


@ON_POSTGRESQL
def test_postgresql_restarted_in_the_middle_of_jobs(here: Installation) -> None:
    assert here.database is not None
    party = here.party("restarted")
    workers = here.product.workers()
    with _visitor(party) as answers:
        for how in (signal.SIGINT, signal.SIGQUIT):
            until(lambda: party.indexed() < PHOTOS and party.under_way(), 60)
            here.database.stop(how)
            until(lambda: answers[-1] == 503, 60)  # people and workers have met the gap
            here.database.start()
            until(lambda: answers[-1] == 200, 60)
        assert here.is_as_in_peace(party)
    assert set(answers) == {200, 503}
    assert here.product.workers() == workers


@contextmanager
def _visitor(party: Party) -> Iterator[list[int]]:
    """Somebody who opens the event's page again and again; the statuses of the answers."""
    answers = [0]
    over = threading.Event()

    def visit() -> None:
        while not over.wait(0.05):
            page = requests.get(f"{party.product.url}/e/{party.code}", timeout=60)
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
