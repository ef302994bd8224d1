"""What a worker looks after in Redis beside its jobs: delayed jobs that are due, and jobs that fell in between.

For delays RQ has a scheduler process, which must be asked for, outlives a killed worker and can be forgotten. Here
every worker looks once a second, and a watched transaction decides who moves a job.

Between leaving its queue and being written down as running, a job is nowhere but in its worker's memory for about a
millisecond. A worker that is killed then leaves a job that says to be queued and is in no queue; since its id is taken,
it can't be enqueued again either. `put_back_lost` finds such jobs.
"""

import time
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import WatchError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import ScheduledJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import current_timestamp

_LOST_KEY = "findme:looked-for-lost-jobs"
_LOOK_EVERY = 60


def enqueue_due(queues: Sequence[Queue], connection: Redis) -> int:
    """Enqueue the jobs whose time has come (retries with a pause, `enqueue_in`); returns how many."""
    registries = [(queue, ScheduledJobRegistry(queue=queue)) for queue in queues]
    with connection.pipeline(transaction=False) as pipeline:
        for _, registry in registries:
            pipeline.zrangebyscore(registry.key, 0, current_timestamp(), start=0, num=200)
        due = pipeline.execute()
    return sum(
        _enqueue(queue, registry, job_id.decode(), connection)
        for (queue, registry), job_ids in zip(registries, due, strict=True)
        for job_id in job_ids
    )


def _enqueue(queue: Queue, registry: ScheduledJobRegistry, job_id: str, connection: Redis) -> int:
    """Move one job from the schedule to its queue, unless another worker did."""
    with connection.pipeline() as pipeline:
        try:
            pipeline.watch(registry.key)
            if pipeline.zscore(registry.key, job_id) is None:
                return 0
            try:
                job = queue.job_class.fetch(job_id, connection=connection, serializer=queue.serializer)
            except NoSuchJobError:
                registry.remove(job_id)
                return 0
            pipeline.multi()
            registry.remove(job_id, pipeline=pipeline)
            if job.has_rate_limit:
                queue._enqueue_rate_limited_job(job, pipeline=pipeline, at_front=job.should_enqueue_at_front())
            else:
                queue._enqueue_job(job, pipeline=pipeline, at_front=job.should_enqueue_at_front())
            pipeline.execute()
        except WatchError:
            return 0
    return 1


def put_back_lost(connection: Redis, *, at_once: bool = False, patience: float = 1.0) -> int:
    """Put jobs that are nowhere back to the front of their queues: once a minute among all workers, or at once."""
    if not connection.set(_LOST_KEY, 1, nx=not at_once, ex=_LOOK_EVERY):
        return 0
    suspects = _lost(connection)
    if not suspects:
        return 0
    time.sleep(patience)  # one that has just been taken will be written down by then
    lost = suspects & _lost(connection)
    for job_id, origin in lost:
        Queue(origin, connection=connection, serializer=JSONSerializer).push_job_id(job_id, at_front=True)
    return len(lost)


def _lost(connection: Redis) -> set[tuple[str, str]]:
    """Id and queue of every job that says to be queued and is neither in a queue nor running."""
    prefix = Job.redis_job_namespace_prefix
    found = [key.decode() for key in connection.scan_iter(match=f"{prefix}*", count=1000, _type="hash")]
    with connection.pipeline(transaction=False) as pipeline:
        for key in found:
            pipeline.hmget(key, "status", "origin")
        told = pipeline.execute()
    queued = {
        (key.removeprefix(prefix), origin.decode())
        for key, (status, origin) in zip(found, told, strict=True)
        if origin and status == JobStatus.QUEUED.encode()
    }
    known: set[str] = set()
    for name in {origin for _, origin in queued}:
        queue = Queue(name, connection=connection, serializer=JSONSerializer)
        running = (job_id for job_id, _ in queue.started_job_registry.get_job_and_execution_ids(cleanup=False))
        known.update(queue.get_job_ids(), queue.intermediate_queue.get_job_ids(), running)
    return {(job_id, origin) for job_id, origin in queued if job_id not in known}
