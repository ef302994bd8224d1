"""The buckets that keep all workers together below Amazon's quotas, on a real Valkey and by its clock."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from tests.support.servers import Valkey, start_valkey, valkey
from tests.support.settings import make_settings
from webapp.errors import Transient
from webapp.faces.rekognition import quotas
from webapp.faces.rekognition.quotas import Buckets

PROCESSES, THREADS, CALLS_EACH, RATE = 3, 3, 9, 40.0
ACCURACY = 0.005
"""Seconds by which the clocks of the sleeper and of the server may run apart."""


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


def buckets(url: str, folder: Path, connection: Redis | None = None, **changes: object) -> Buckets:
    values = {"rekognition_region": "eu-central-1"} | changes
    return Buckets(make_settings(folder, url, **values), connection or Redis.from_url(url))


def server_time(connection: Redis) -> float:
    seconds, microseconds = connection.time()
    return seconds + microseconds / 1e6


def hurry(url: str, folder: str) -> list[float]:
    """A process whose threads all want to call at once; returns when they were allowed to, by the server's clock."""
    connection = Redis.from_url(url)
    mine = buckets(url, Path(folder), connection, rekognition_calls_per_second=RATE)

    def call(_: int) -> float:
        mine.take("IndexFaces")
        return server_time(connection)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(call, range(THREADS * CALLS_EACH)))


def test_many_processes_together_never_exceed_the_rate_by_more_than_a_burst(server: Valkey, tmp_path: Path) -> None:
    server.client().flushall()
    start = server_time(server.client())
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        answers = pool.starmap(hurry, [(server.url, str(tmp_path))] * PROCESSES)
    times = sorted(moment for answer in answers for moment in answer)
    assert len(times) == PROCESSES * THREADS * CALLS_EACH
    gap, burst = 1 / (quotas.STEADY * RATE), quotas.BURST * RATE
    for allowed, moment in enumerate(times):
        assert moment >= start + (allowed + 1 - burst) * gap - ACCURACY, allowed


def test_waits_no_longer_than_asked_and_a_refusal_takes_nobodys_turn(server: Valkey, tmp_path: Path) -> None:
    server.client().flushall()
    slow = buckets(server.url, tmp_path, rekognition_calls_per_second=0.01)
    slow.take("SearchFaces", patience=0)
    key = quotas.KEY.format(region="eu-central-1", operation="SearchFaces")
    turn = server.client().get(key)
    for _ in range(5):
        with pytest.raises(Transient) as refused:
            slow.take("SearchFaces", patience=2)
        assert refused.value.code == "engine_busy"
    assert server.client().get(key) == turn


def test_each_operation_and_region_has_its_own(server: Valkey, tmp_path: Path) -> None:
    server.client().flushall()
    slow = {"rekognition_calls_per_second": 0.01}
    for region in ("eu-central-1", "us-east-2"):
        here = buckets(server.url, tmp_path, rekognition_region=region, **slow)
        for operation in ("IndexFaces", "SearchFaces", "DeleteFaces"):
            here.take(operation, patience=0)
            with pytest.raises(Transient):
                here.take(operation, patience=0)


def test_two_processes_share_one(server: Valkey, tmp_path: Path) -> None:
    server.client().flushall()
    one, other = (buckets(server.url, tmp_path, rekognition_calls_per_second=0.01) for _ in range(2))
    one.take("IndexFaces", patience=0)
    with pytest.raises(Transient):
        other.take("IndexFaces", patience=0)


def test_what_is_left_behind_goes_by_itself(server: Valkey, tmp_path: Path) -> None:
    server.client().flushall()
    buckets(server.url, tmp_path).take("IndexFaces")
    assert 0 < server.client().pttl(quotas.KEY.format(region="eu-central-1", operation="IndexFaces")) < 120_000


def test_without_redis_a_process_goes_on_cautiously(tmp_path: Path) -> None:
    gone = start_valkey()
    mine = buckets(gone.url, tmp_path, rekognition_calls_per_second=0.1)
    gone.stop()
    mine.take("IndexFaces", patience=0)
    mine.take("SearchFaces", patience=0)
    with pytest.raises(Transient) as refused:
        mine.take("IndexFaces", patience=5)
    assert refused.value.code == "engine_busy"


def test_without_redis_it_is_a_tenth_of_the_quota(tmp_path: Path) -> None:
    gone = start_valkey()
    mine = buckets(gone.url, tmp_path, rekognition_calls_per_second=200)
    gone.stop()
    start = time.monotonic()
    for _ in range(4):
        mine.take("IndexFaces")
    assert time.monotonic() - start >= 3 / (200 * quotas.STEADY * quotas.ALONE)
