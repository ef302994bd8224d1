"""The worker class, as ops start it: a real Valkey, real `rq worker` processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from rq import Queue, Retry
from rq.command import send_kill_horse_command, send_stop_job_command
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from tests.support.databases import Databases
from tests.support.servers import REFUSALS, Valkey, valkey

ROOT = Path(__file__).resolve().parents[2]
RQ = Path(sys.executable).with_name("rq")
LITERAL = ["worker", "-w", "jobs.worker.Worker", "-c", "jobs.rq_settings", "selfies", "photos", "mail", "maintenance"]
PLAIN = [word.replace("jobs.worker.Worker", "tests.integration.toy_jobs.PlainWorker") for word in LITERAL]
QUICK = [word.replace("jobs.worker.Worker", "tests.integration.toy_jobs.QuickWorker") for word in LITERAL]
TOYS = "tests.integration.toy_jobs."

Start = Callable[..., psutil.Process]


@pytest.fixture
def server() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


@pytest.fixture
def redis(server: Valkey) -> Redis:
    return server.client()


@pytest.fixture
def photos(redis: Redis) -> Queue:
    return Queue("photos", connection=redis, serializer=JSONSerializer)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first worker leaves the folded face models for the next."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def start(server: Valkey, tmp_path: Path, models: Path, all_databases: Databases) -> Iterator[Start]:
    """Starts workers and sees that nothing of them is left."""
    started: list[psutil.Process] = []
    popen: list[subprocess.Popen[bytes]] = []
    family: set[psutil.Process] = set()
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    all_databases.template("sqlite").copy(data_dir)
    env = os.environ | {"DATA_DIR": str(data_dir), "REDIS_URL": server.url, "PYTHONPATH": str(ROOT)}
    env |= {"ENVIRONMENT": "development", "SECRET_KEY": "x" * 40}

    def run(command: list[str], *options: str) -> psutil.Process:
        with (tmp_path / f"worker-{len(started)}.log").open("w") as log:
            process = subprocess.Popen(
                [RQ, *command, *options], cwd=ROOT, env=env, stdout=log, stderr=log, process_group=0
            )
        popen.append(process)
        started.append(psutil.Process(process.pid))
        return started[-1]

    try:
        yield run
        for process in started:
            if process.is_running():
                family.update(process.children(recursive=True))
                process.terminate()
        _, alive = psutil.wait_procs(started, timeout=20)
        assert not alive, "a worker did not stop"
        assert not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    finally:
        for process in [*started, *family]:
            if process.is_running():
                process.kill()
        for process in popen:
            process.wait(10)
        for log in tmp_path.glob("worker-*.log"):
            print(f"--- {log.name}\n{log.read_text()}")


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def put(queue: Queue, name: str, *arguments: object, **options: object) -> Job:
    return queue.enqueue_call(TOYS + name, args=arguments, **{"timeout": 30, "retry": Retry(max=2)} | options)


def status(job: Job) -> JobStatus:
    return job.get_status(refresh=True)


def pids(redis: Redis, key: str) -> list[int]:
    return [int(pid) for pid in redis.lrange(key, 0, -1)]


def test_the_literal_line_runs_jobs_in_one_horse_that_loads_once(start: Start, photos: Queue, redis: Redis) -> None:
    worker = start(LITERAL)
    jobs = [put(photos, "load_once", "seen") for _ in range(8)]
    until(lambda: all(status(job) == JobStatus.FINISHED for job in jobs))
    seen = pids(redis, "seen")
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert set(seen) != {worker.pid}
    assert len(pids(redis, "seen:loads")) == 1


def test_defaults_of_ours_come_in_where_the_cli_has_its_own(start: Start, redis: Redis) -> None:
    start(LITERAL)
    until(lambda: redis.smembers("rq:workers"))
    key = redis.smembers("rq:workers").pop()
    assert 0 < redis.ttl(key) <= 90
    until(lambda: 0 < redis.ttl(key) <= 30)


@pytest.mark.parametrize("death", ["crash", "null_pointer"])
def test_a_native_crash_takes_its_job_and_not_the_queue(start: Start, photos: Queue, redis: Redis, death: str) -> None:
    start(PLAIN)
    bad = put(photos, death, "bad", retry=Retry(max=1))
    good = put(photos, "load_once", "good")
    until(lambda: status(good) == JobStatus.FINISHED and status(bad) == JobStatus.FAILED)
    assert len(pids(redis, "bad")) == 2  # tried again once, in another horse
    assert len({*pids(redis, "bad")}) == 2
    assert "terminated unexpectedly" in str(bad.latest_result().exc_string)


@pytest.mark.parametrize(
    ("death", "arguments", "told"),
    [
        ("crash", [], "crash"),
        ("null_pointer", [], "crash"),
        ("kill_itself", [int(signal.SIGBUS)], "crash"),
        ("kill_itself", [int(signal.SIGILL)], "crash"),
        ("exit_at_once", [], "crash"),
        ("stuck_in_c", [], "crash"),
        # From outside, or by the system while there was plenty of memory:
        ("kill_itself", [int(signal.SIGKILL)], "interruption"),
    ],
)
def test_a_worker_tells_of_what_its_job_process_died(
    start: Start, photos: Queue, redis: Redis, death: str, arguments: list[int], told: str
) -> None:
    start(QUICK, "--name", "witness")
    job = put(photos, death, "bad", *arguments, retry=None, timeout=2)
    until(lambda: redis.llen("deaths"))
    assert redis.lrange("deaths", 0, -1) == [f"witness {told}".encode()]
    until(lambda: status(job) == JobStatus.FAILED)


def test_a_death_is_recorded_before_another_worker_can_have_the_job(start: Start, photos: Queue, redis: Redis) -> None:
    start(QUICK)
    job = put(photos, "crash", "bad", retry=Retry(max=1))
    until(lambda: status(job) == JobStatus.FAILED)
    assert redis.lrange("queued at death", 0, -1) == [b"0", b"0"]


def test_a_process_that_leaves_in_good_order_is_no_death(start: Start, photos: Queue, redis: Redis) -> None:
    start(QUICK)
    jobs = [put(photos, "load_once", "seen") for _ in range(4)]  # one more than a QuickWorker's process does
    until(lambda: all(status(job) == JobStatus.FINISHED for job in jobs))
    assert not redis.exists("deaths")


def test_a_job_that_shall_be_alone_has_a_process_of_its_own(start: Start, photos: Queue, redis: Redis) -> None:
    start(PLAIN)
    jobs = [put(photos, "load_once", "seen", meta=meta) for meta in ({}, {"alone": "yes"}, {}, {})]
    until(lambda: all(status(job) == JobStatus.FINISHED for job in jobs))
    before, alone, after, last = pids(redis, "seen")
    assert len({before, alone, after}) == 3
    assert after == last


def test_a_timeout_in_python_ends_the_job_and_keeps_the_horse(start: Start, photos: Queue, redis: Redis) -> None:
    start(PLAIN)
    long = put(photos, "sleep", "long", 60, timeout=1, retry=None)
    after = put(photos, "load_once", "after")
    until(lambda: status(after) == JobStatus.FINISHED)
    assert status(long) == JobStatus.FAILED
    assert pids(redis, "long:began") == pids(redis, "after")


def test_a_job_stuck_in_native_code_is_ended_from_outside(start: Start, photos: Queue, redis: Redis) -> None:
    start(QUICK)
    stuck = put(photos, "stuck_in_c", "stuck", timeout=1, retry=None)
    after = put(photos, "load_once", "after")
    until(lambda: status(after) == JobStatus.FINISHED)
    assert status(stuck) == JobStatus.FAILED
    assert pids(redis, "stuck") != pids(redis, "after")


def test_a_worker_whose_app_does_not_load_takes_no_jobs(start: Start, photos: Queue) -> None:
    start([word.replace("jobs.worker.Worker", TOYS + "BrokenWorker") for word in LITERAL])
    jobs = [put(photos, "load_once", "seen", retry=None) for _ in range(3)]
    time.sleep(6)
    assert [status(job) for job in jobs] == [JobStatus.QUEUED] * 3


def test_the_horse_is_renewed_after_its_time(start: Start, photos: Queue, redis: Redis) -> None:
    start(QUICK)
    jobs = [put(photos, "load_once", "seen") for _ in range(7)]
    until(lambda: all(status(job) == JobStatus.FINISHED for job in jobs))
    seen = pids(redis, "seen")
    assert [seen.count(pid) for pid in dict.fromkeys(seen)] == [3, 3, 1]


def test_a_killed_worker_hands_its_job_to_another(start: Start, photos: Queue, redis: Redis) -> None:
    first = start(QUICK)
    job = put(photos, "sleep", "nap", 2)
    until(lambda: redis.exists("nap:began"))
    horse = psutil.Process(pids(redis, "nap:began")[0])
    first.kill()
    until(lambda: not horse.is_running() or horse.status() == psutil.STATUS_ZOMBIE, 3)
    assert not redis.exists("nap:ended")
    start(QUICK)
    until(lambda: status(job) == JobStatus.FINISHED, 30)
    assert len(pids(redis, "nap:began")) == 2
    assert len(redis.smembers("rq:workers")) == 1


def test_the_reaper_hands_back_at_once_when_it_is_told_the_name(start: Start, photos: Queue, redis: Redis) -> None:
    from jobs import reaper

    first = start(PLAIN, "--name", "doomed")
    job = put(photos, "sleep", "nap", 1)
    until(lambda: redis.exists("nap:began"))
    first.kill()
    first.wait(5)
    assert reaper.find_dead(redis) == set()  # its heartbeat has not run out
    assert reaper.reap(redis, {"doomed"}) == 1
    assert status(job) == JobStatus.QUEUED
    assert reaper.reap(redis, {"doomed"}) == 0
    start(PLAIN)
    until(lambda: status(job) == JobStatus.FINISHED)


def test_a_job_that_was_taken_but_not_begun_is_not_lost(start: Start, photos: Queue, redis: Redis) -> None:
    from jobs import reaper
    from jobs.worker import Worker

    job = put(photos, "load_once", "seen")
    dead = Worker([photos], name="dead", connection=redis)
    taken, _ = Queue.dequeue_any([photos], None, connection=redis, serializer=JSONSerializer) or (None, None)
    assert taken
    dead.prepare_execution(taken)
    assert reaper.reap(redis, {"dead"}) == 1
    start(PLAIN)
    until(lambda: status(job) == JobStatus.FINISHED)


def test_a_job_that_left_its_queue_and_came_nowhere_is_put_back(start: Start, photos: Queue, redis: Redis) -> None:
    job = put(photos, "load_once", "seen")
    redis.lpop(photos.key)  # taken by a worker that was killed in that very moment
    start(PLAIN)
    until(lambda: status(job) == JobStatus.FINISHED)


def test_sigterm_lets_the_running_job_finish(start: Start, photos: Queue, redis: Redis) -> None:
    worker = start(LITERAL)
    running, waiting = put(photos, "sleep", "nap", 2), put(photos, "load_once", "later")
    until(lambda: redis.exists("nap:began"))
    horse = psutil.Process(pids(redis, "nap:began")[0])
    worker.send_signal(signal.SIGTERM)
    horse.send_signal(signal.SIGTERM)  # as systemd and Docker do
    worker.wait(10)
    assert status(running) == JobStatus.FINISHED
    assert status(waiting) == JobStatus.QUEUED
    assert not horse.is_running() or horse.status() == psutil.STATUS_ZOMBIE
    assert not redis.smembers("rq:workers")


def test_an_idle_worker_stops_at_once(start: Start, redis: Redis) -> None:
    worker = start(PLAIN)
    until(lambda: redis.smembers("rq:workers"))
    until(worker.children)
    time.sleep(1)
    began = time.monotonic()
    worker.send_signal(signal.SIGINT)
    worker.wait(10)
    assert time.monotonic() - began < 4


def test_stop_job_and_kill_horse_keep_their_meaning(start: Start, photos: Queue, redis: Redis) -> None:
    start(PLAIN, "--name", "w")
    stopped = put(photos, "sleep", "one", 60)
    until(lambda: redis.exists("one:began"))
    send_stop_job_command(redis, stopped.id, serializer=JSONSerializer)
    until(lambda: status(stopped) == JobStatus.STOPPED)
    killed = put(photos, "sleep", "two", 60, retry=None)
    until(lambda: redis.exists("two:began"))
    send_kill_horse_command(redis, "w")
    until(lambda: status(killed) == JobStatus.FAILED)
    after = put(photos, "load_once", "after")
    until(lambda: status(after) == JobStatus.FINISHED)


def test_the_sweep_goes_on_though_it_fails_at_times(start: Start, redis: Redis) -> None:
    start(QUICK)
    until(lambda: int(redis.get("sweeps") or 0) >= 4)


def test_pauses_need_no_scheduler(start: Start, photos: Queue) -> None:
    start(PLAIN)
    job = put(photos, "fail_once", "count", retry=Retry(max=1, interval=2))
    until(lambda: status(job) == JobStatus.SCHEDULED)
    until(lambda: status(job) == JobStatus.FINISHED)


def test_a_worker_outlives_redis_coming_back_empty(start: Start, photos: Queue, redis: Redis, server: Valkey) -> None:
    start(QUICK)
    until(lambda: redis.smembers("rq:workers"))
    redis.flushall()
    until(lambda: redis.smembers("rq:workers"))
    options = server.process.args
    server.process.kill()
    server.process.wait()
    time.sleep(1)
    server.process = subprocess.Popen(options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    job = put(photos, "load_once", "seen")
    until(lambda: status(job) == JobStatus.FINISHED)


REFUSING = pytest.mark.parametrize("refuse", REFUSALS)


@pytest.fixture
def refused(server: Valkey) -> Callable[[psutil.Process, Callable[[Valkey], None]], None]:
    """Let Redis refuse for some seconds, through which a worker has to live."""

    def through(worker: psutil.Process, refuse: Callable[[Valkey], None]) -> None:
        refuse(server)
        time.sleep(5)
        assert worker.status() != psutil.STATUS_ZOMBIE
        server.make_well()

    return through


@REFUSING
def test_a_worker_waits_for_a_redis_that_refuses(
    start: Start, photos: Queue, refused: Callable[..., None], refuse: Callable[[Valkey], None]
) -> None:
    worker = start(QUICK)
    first = put(photos, "load_once", "seen")
    until(lambda: status(first) == JobStatus.FINISHED)
    second = put(photos, "nap", 0)
    refused(worker, refuse)
    until(lambda: status(second) == JobStatus.FINISHED)


@REFUSING
def test_a_worker_that_starts_beside_a_redis_that_refuses_waits_as_well(
    start: Start, server: Valkey, photos: Queue, refused: Callable[..., None], refuse: Callable[[Valkey], None]
) -> None:
    job = put(photos, "nap", 0)
    refuse(server)
    refused(start(QUICK), refuse)
    until(lambda: status(job) == JobStatus.FINISHED)


@REFUSING
def test_a_job_that_ends_while_redis_refuses_has_succeeded(
    start: Start, photos: Queue, redis: Redis, refused: Callable[..., None], refuse: Callable[[Valkey], None]
) -> None:
    worker = start(QUICK)
    job = put(photos, "nap", 2)
    until(lambda: status(job) == JobStatus.STARTED)
    refused(worker, refuse)
    until(lambda: status(job) == JobStatus.FINISHED)
    assert not redis.exists("deaths")
