"""`make chaos`: 500 photos, workers killed at 200 seeded moments, most of them at the end of the batch; Redis emptied,
and stopped, in the middle of one. With --seeds the kills are repeated, each time at other moments.

The product runs with its default settings. Each end state is compared with that of a run in which nothing happened;
the exit code is 1 where they differ, or where an emptied Redis kept work waiting for more than 90 seconds.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.chaos import points
from tests.chaos.points import Outcome, Party
from tests.support.product import photographer, running
from tests.support.servers import Valkey

ON_ITS_WAY = 90.0
"""Seconds in which every row has to be on its way again after Redis lost everything."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="how many runs with kills, from --seed on")
    wanted = parser.parse_args()
    pictures = points.photos(wanted.photos)
    with (
        tempfile.TemporaryDirectory(prefix="findme-chaos-") as folder,
        points.own_redis() as redis,
        running(Path(folder) / "data", REDIS_URL=redis.url) as product,
    ):
        owner = photographer(product)
        quiet = _run(Party.make(product, "quiet", owner), pictures, lambda party: None)
        faults: dict[str, Callable[[Party], None]] = {
            f"killed-{seed}": partial(_kill, dice=random.Random(seed), times=wanted.kills, total=len(pictures))
            for seed in range(wanted.seed, wanted.seed + wanted.seeds)
        }
        faults |= {
            "emptied": lambda party: _empty(party, redis),
            "stopped": lambda party: points.restart_empty(redis, 5.0),
        }
        same = [
            _same(name, _run(Party.make(product, name, owner), pictures, fault), quiet)
            for name, fault in faults.items()
        ]
    return 0 if all(same) else 1


def _run(party: Party, pictures: points.Photos, fault: Callable[[Party], None]) -> Outcome:
    begun = time.monotonic()
    party.hand_in(pictures)
    fault(party)
    party.settle(3600)
    party.decide()
    party.settle(600)
    print(f"{party.name}: {len(pictures)} photos in {time.monotonic() - begun:.0f} s", flush=True)
    return party.outcome()


def _kill(party: Party, dice: random.Random, times: int, total: int) -> None:
    kills = points.kill_often(party, dice, times, total)
    print(f"{party.name}: {kills.done} kills, up to {kills.most_deaths} with the same photo", flush=True)


def _empty(party: Party, redis: Valkey) -> None:
    """Forget everything, and see that every photo is enqueued, worked on or done in time."""
    redis.client().flushall()
    begun = time.monotonic()
    points.until(lambda: _on_their_way(party, redis), ON_ITS_WAY)
    print(f"{party.name}: every row on its way again after {time.monotonic() - begun:.1f} s", flush=True)


def _on_their_way(party: Party, redis: Valkey) -> bool:
    waiting = party.waiting()
    queued = {
        str(key, "ascii").removeprefix("rq:job:index_photo-") for key in redis.client().keys("rq:job:index_photo-*")
    }
    return waiting <= queued


def _same(name: str, found: Outcome, quiet: Outcome) -> bool:
    different = [fact for fact in quiet if found[fact] != quiet[fact]]
    for fact in different:
        before, after = quiet[fact], found[fact]
        if isinstance(before, list) and isinstance(after, list):
            print(f"{name}: {fact} differ, missing {[row for row in before if row not in after][:3]}")
            print(f"{name}: {fact} differ, too many {[row for row in after if row not in before][:3]}")
    print(f"{name}: {'as undisturbed' if not different else 'NOT as undisturbed: ' + ', '.join(different)}", flush=True)
    return not different


if __name__ == "__main__":
    sys.exit(main())
