"""Workers get SIGKILL at seeded moments, Redis is emptied in the middle of a batch: the end is that of a quiet run.

`make chaos` does the same with 500 photos, 200 moments and the settings of an installation.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.chaos import points
from tests.chaos.points import Outcome, Party
from tests.product import Client, Product, photographer, running
from tests.servers import Valkey

PHOTOS = 20
QUICK = {"SWEEP_INTERVAL": "2"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@dataclass
class Installation:
    """One product for all of them, with a Redis that can be stopped, and what comes of an event in peace."""

    product: Product
    redis: Valkey
    owner: Client
    quiet: Outcome

    def party(self, name: str) -> Party:
        return Party.make(self.product, name, self.owner)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with (
        points.own_redis() as redis,
        running(tmp_path_factory.mktemp("points") / "data", REDIS_URL=redis.url, **QUICK) as product,
    ):
        owner = photographer(product)
        party = Party.make(product, "quiet", owner)
        party.hand_in(points.photos(PHOTOS))
        party.settle(90)
        party.decide()
        party.settle(30)
        quiet = party.outcome()
        assert quiet["orphans"] == [] and len(list(quiet["matches"])) > PHOTOS // 2  # type: ignore[call-overload]
        yield Installation(product, redis, owner, quiet)


def test_workers_killed_at_seeded_moments_lose_and_double_nothing(here: Installation) -> None:
    dice, party = random.Random(5), here.party("killed")
    party.hand_in(points.photos(PHOTOS))
    assert points.kill_often(party, dice, 4, PHOTOS) >= 2
    party.settle(90)
    party.decide()
    points.kill(party, dice)
    party.owner.post(f"/photographer/events/{party.id}/rematch")
    party.settle(90)
    assert party.outcome() == here.quiet


def test_redis_emptied_in_the_middle_of_a_batch_without_a_restart(here: Installation) -> None:
    party = here.party("emptied")
    party.hand_in(points.photos(PHOTOS))
    here.redis.client().flushall()
    assert party.indexed() < PHOTOS
    party.settle(90)
    party.decide()
    party.settle(60)
    assert party.outcome() == here.quiet


def test_redis_stopped_and_started_empty(here: Installation) -> None:
    party = here.party("stopped")
    party.hand_in(points.photos(PHOTOS))
    points.restart_empty(here.redis, 1.0)
    assert party.indexed() < PHOTOS
    party.settle(120)
    party.decide()
    party.settle(60)
    assert party.outcome() == here.quiet
