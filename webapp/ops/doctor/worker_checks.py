"""Workers and queues: is there somebody for every kind of work, and how long has the oldest of it waited."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS

from webapp.clock import utcnow
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn
from webapp.queueing import QUEUES, SELFIES

_LINE = "rq worker -w jobs.worker.Worker -c jobs.rq_settings selfies mail maintenance photos"
_SUSPENDED = "rq:suspended"
_LIMITS = {SELFIES: (60, 600)}
_OTHER_LIMITS = (3600, 6 * 3600)
"""Seconds that the oldest job of a queue has waited: from when it is a warning, and from when a fault. Thousands of
photos take an hour; a guest waits for a selfie."""


def check_workers(context: Context) -> Iterator[Finding]:
    """Count workers whose heartbeat has not run out, and find queues that none of them serves."""
    if "redis" in context.missing:
        yield warn("workers", "Not looked at, nor are the queues: that needs Redis.", "Mend Redis first.")
        return
    if context.redis.exists(_SUSPENDED):
        yield fail("workers", "They are suspended: what is handed in waits.", "rq resume --url REDIS_URL")
        return
    served = alive(context.redis)
    idle = [name for name in QUEUES if not any(name in queues for queues in served)]
    if not served:
        yield fail(
            "workers", "No worker has a heartbeat: nothing that is handed in is worked on.", f"Start one: {_LINE}"
        )
    elif idle:
        yield fail("workers", f"No worker serves {', '.join(idle)}.", f"Start one that does: {_LINE}")
    elif len(served) == 1:
        yield warn("workers", "One worker: it is one too few when it restarts.", "Start a second one.")
    else:
        yield ok("workers", f"{len(served)} alive, all queues served")


def check_queues(context: Context) -> Iterator[Finding]:
    """Find queues whose oldest job has waited for long, and jobs that failed."""
    if "redis" in context.missing:
        return
    said, healthy = [], True
    for name in QUEUES:
        queue = Queue(name, connection=context.redis, serializer=JSONSerializer)
        waited, count, failed = _oldest(queue), queue.count, queue.failed_job_registry.count
        warns, fails = _LIMITS.get(name, _OTHER_LIMITS)
        said.append(f"{name} {count}")
        if waited >= warns:
            healthy = False
            sentence = f"The oldest of {count} jobs in {name} has waited for {waited / 60:.0f} minutes."
            mend = "Look at the workers' log, or start more of them."
            yield fail("queues", sentence, mend) if waited >= fails else warn("queues", sentence, mend)
        if failed:
            healthy = False
            mend = "/admin/queues shows why. What can be tried again is, from the event's page."
            yield warn("queues", f"{failed} jobs of {name} failed within a week.", mend)
    if healthy:
        yield ok("queues", f"waiting: {', '.join(said)}")


def alive(connection: redis.Redis) -> list[set[str]]:
    """Return the queues of each worker whose heartbeat has not run out."""
    keys = cast("set[bytes]", connection.smembers(REDIS_WORKER_KEYS))
    listened = (cast("bytes | None", connection.hget(key.decode(), "queues")) for key in keys)
    return [set(names.decode().split(",")) for names in listened if names is not None]


def _oldest(queue: Queue) -> float:
    """Return for how many seconds the first job of a queue has waited; 0 for an empty queue."""
    for job_id in queue.get_job_ids(0, 1):
        try:
            job = Job.fetch(job_id, connection=queue.connection, serializer=JSONSerializer)
        except NoSuchJobError:
            continue
        if job.enqueued_at is not None:
            enqueued = job.enqueued_at if job.enqueued_at.tzinfo else job.enqueued_at.replace(tzinfo=UTC)
            return max(0.0, (_now() - enqueued).total_seconds())
    return 0.0


def _now() -> datetime:
    return utcnow()
