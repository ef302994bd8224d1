"""What a worker looks after in Redis beside its jobs: delayed jobs that are due.

RQ has a scheduler process for this, which must be asked for, outlives a killed worker and can be forgotten. Here every
worker looks once a second, and a watched transaction decides who moves a job.
"""

from collections.abc import Sequence

from redis import Redis
from redis.exceptions import WatchError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.registry import ScheduledJobRegistry
from rq.utils import current_timestamp


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
