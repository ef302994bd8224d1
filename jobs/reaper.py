"""Hand back what dead workers were working on, at once instead of after RQ's minutes.

A worker is dead when its key in Redis has gone (ours lets it lapse after 30 s without a heartbeat), when it says so
itself, or when its supervisor saw it end and names it: `python -m jobs.reaper NAME…`. First its claims on rows are
released, then its jobs go back to their queues (or to the failed ones, when they have no retry left).
"""

import sys
import time
from collections.abc import Collection, Iterator
from typing import cast

from redis import Redis
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS, WORKERS_BY_QUEUE_KEY

from jobs.upkeep import put_back_lost

# Long enough for any cleaning, short enough that a worker killed while it held the lock stops nobody for long
# (RQ's own lock lasts 15 minutes).
LOCK_SECONDS = 20


def find_dead(connection: Redis) -> set[str]:
    """Names of workers that are registered or have running jobs to their name, and are no more."""
    prefix = Worker.redis_worker_namespace_prefix
    names = {name for _, _, _, name in _running(connection)}
    names |= {key.removeprefix(prefix) for key in Worker.all_keys(connection=connection)}
    return {name for name in names if not _is_alive(connection, name)}


def reap(connection: Redis, dead: Collection[str]) -> int:
    """Hand back the running jobs of these workers and strike them off the register; returns how many jobs."""
    touched: dict[str, Queue] = {}
    count = 0
    for queue, key, job_id, name in _running(connection):
        if name in dead:
            count += _expire(connection, queue, key, job_id)
            touched[queue.name] = queue
    for queue in touched.values():
        _clean(connection, queue)
    _unregister(connection, dead)
    return count


def take_lock(connection: Redis, queue: Queue, name: str) -> bool:
    """The right to clean a queue's registries: RQ's own key, so that plain RQ workers keep out, with a shorter life."""
    return bool(connection.set(queue.registry_cleaning_key, name, nx=True, ex=LOCK_SECONDS))


def _running(connection: Redis) -> Iterator[tuple[Queue, bytes, str, str]]:
    """Each running job: its queue, its key in the register, its id and its worker's name."""
    for queue in Queue.all(connection=connection, serializer=JSONSerializer):
        keys = cast("list[bytes]", connection.zrange(StartedJobRegistry(queue=queue).key, 0, -1))
        with connection.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hget(f"rq:execution:{key.decode()}", "worker_name")
            names = pipeline.execute()
        for key, name in zip(keys, names, strict=True):
            if name:  # without one the record has lapsed, and RQ's own cleaning takes it
                yield queue, key, key.decode().rpartition(":")[0], name.decode()


def _is_alive(connection: Redis, name: str) -> bool:
    key = f"{Worker.redis_worker_namespace_prefix}{name}"
    return bool(connection.exists(key)) and not connection.hexists(key, "death")


def _expire(connection: Redis, queue: Queue, key: bytes, job_id: str) -> int:
    """Let a running job's entry count as lapsed, if it is still there."""
    try:
        job = Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
        if job.get_status() == JobStatus.QUEUED:
            # The worker died before its horse had begun. RQ's cleaning drops such entries, and the job would be lost.
            job.set_status(JobStatus.STARTED)
    except NoSuchJobError:
        pass
    return int(connection.zadd(StartedJobRegistry(queue=queue).key, {key: 1}, xx=True, ch=True) or 0)


def _clean(connection: Redis, queue: Queue) -> None:
    """RQ's own handling of lapsed jobs. It is not atomic, hence the lock; without it the next round does the work."""
    for _ in range(30):
        if take_lock(connection, queue, "reaper"):
            try:
                StartedJobRegistry(queue=queue).cleanup()
            finally:
                queue.release_maintenance_lock()
            return
        time.sleep(0.1)


def _unregister(connection: Redis, names: Collection[str]) -> None:
    """Take dead workers out of the lists that rq-dashboard and `rq info` show."""
    if not names:
        return
    keys = [f"{Worker.redis_worker_namespace_prefix}{name}" for name in names]
    with connection.pipeline() as pipeline:
        for queue in Queue.all(connection=connection, serializer=JSONSerializer):
            pipeline.srem(WORKERS_BY_QUEUE_KEY % queue.name, *keys)
        pipeline.srem(REDIS_WORKER_KEYS, *keys)
        pipeline.delete(*keys, *(f"{key}:executions" for key in keys))
        pipeline.execute()


def release_claims(names: Collection[str]) -> None:
    """Free the rows that these workers had claimed, through the app."""
    from jobs.runtime import get_app
    from webapp.services.recovery.dead_workers import release_claims as release

    with get_app().app_context():
        release(list(names))


def main(names: list[str]) -> int:
    """What the supervisor runs when it saw a worker end."""
    from webapp.settings import Settings

    try:
        release_claims(names)
    except Exception as error:
        # The leases of the rows run out by themselves; the jobs must go back all the same.
        print(f"reaper: claims of {', '.join(names)} are left to run out: {error!r}", file=sys.stderr)  # noqa: T201 - a program's answer
    connection = Redis.from_url(Settings.from_env().redis_url)
    count = reap(connection, names) + put_back_lost(connection, at_once=True)
    print(f"reaper: handed back {count} job(s) of {', '.join(names)}")  # noqa: T201 - a program's answer
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
