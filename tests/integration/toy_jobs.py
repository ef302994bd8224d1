"""Jobs that a real worker imports in test_worker.py; they tell what they did in Redis."""

import ctypes
import hashlib
import os
import time

from rq import get_current_job

from jobs.worker import Worker

_loaded: dict[str, float] = {}


class PlainWorker(Worker):
    """Ours without the app and its models, which these jobs don't need and which take seconds to load."""

    sweep = "tests.integration.toy_jobs.sweep"
    drop_erased = "tests.integration.toy_jobs.sweep"
    warm_up = "tests.integration.toy_jobs.warm_up"
    record_death = "tests.integration.toy_jobs.record_death"


class QuickWorker(PlainWorker):
    """It has short patience as well, so that tests need little."""

    kill_after = 1.0
    heartbeat_seconds = 3
    job_monitoring_interval = 1
    horse_jobs = 3

    def __init__(self, *arguments: object, **options: object) -> None:
        options.update(maintenance_interval=1, job_monitoring_interval=1)
        super().__init__(*arguments, **options)  # type: ignore[arg-type]


class BrokenWorker(QuickWorker):
    """Its app can't be loaded."""

    warm_up = "tests.integration.toy_jobs.fail_at_start"


def fail_at_start() -> None:
    """What an app does that cannot be loaded."""
    raise RuntimeError("no app today")


def _note(key: str, value: object) -> None:
    job = get_current_job()
    assert job
    job.connection.rpush(key, str(value))


def load_once(key: str) -> None:
    """Stands for a model: is loaded when the process has none, and says by whom."""
    if "model" not in _loaded:
        _loaded["model"] = time.time()
        _note(f"{key}:loads", os.getpid())
    _note(key, os.getpid())


def crash(key: str) -> None:
    """Dies as native code does."""
    _note(key, os.getpid())
    os.abort()


def null_pointer(key: str) -> None:
    """Reads where nothing is."""
    _note(key, os.getpid())
    ctypes.string_at(0)


def kill_itself(key: str, number: int) -> None:
    """Dies by a signal that could as well come from outside."""
    _note(key, os.getpid())
    os.kill(os.getpid(), number)


def exit_at_once(key: str) -> None:
    """Ends as a library does that calls exit()."""
    _note(key, os.getpid())
    os._exit(3)


def stuck_in_c(key: str) -> None:
    """Computes in C, where no alarm is heard, for many minutes."""
    _note(key, os.getpid())
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2_000_000_000)


def sleep(key: str, seconds: float) -> None:
    """Takes its time, and says when it began and ended."""
    _note(f"{key}:began", os.getpid())
    time.sleep(seconds)
    _note(f"{key}:ended", os.getpid())


def fail_once(key: str) -> None:
    """Fails the first time."""
    job = get_current_job()
    assert job
    if job.connection.incr(key) == 1:
        raise RuntimeError("the first time")


def warm_up() -> None:
    """Marks the horse as warm."""
    _loaded["warm"] = time.time()


def record_death(worker_name: str, death: str) -> None:
    """Tells what the worker says of a death."""
    import redis

    from webapp.settings import Settings

    connection = redis.Redis.from_url(Settings.from_env().redis_url)
    connection.rpush("deaths", f"{worker_name} {death}")
    # The job is still this worker's, and not in its queue.
    connection.rpush("queued at death", connection.llen("rq:queue:photos"))


def sweep() -> None:
    """Counts itself; every second time it fails, which must not matter."""
    import redis

    from webapp.settings import Settings

    count = redis.Redis.from_url(Settings.from_env().redis_url).incr("sweeps")
    if count % 2 == 0:
        raise RuntimeError("a sweep that fails")


def nap(seconds: float) -> None:
    """Takes its time and needs no Redis for it."""
    time.sleep(seconds)
