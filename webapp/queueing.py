"""Names of jobs and queues, and `unit_of_work()`: commit, then enqueue.

The database is the truth and Redis only carries: what can't be enqueued (Redis away, a crash right after the commit) is
a row that waits, and the sweeper enqueues it. Job ids follow from the row, so that a row has one job at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import cast

import redis
import structlog
from flask import current_app
from redis.backoff import NoBackoff
from redis.retry import Retry as ConnectionRetry
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS

from webapp import observability
from webapp.db.database import writing
from webapp.db.extensions import db
from webapp.processes import ALONE
from webapp.settings import Settings

log = structlog.get_logger()

SELFIES, PHOTOS, MAIL, MAINTENANCE = "selfies", "photos", "mail", "maintenance"
QUEUES = (SELFIES, MAIL, MAINTENANCE, PHOTOS)

_PENDING = "pending_jobs"
_OVER = {JobStatus.FAILED, JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.CANCELED}


@dataclass(frozen=True, slots=True)
class JobKind:
    """A function that a worker can run, by its dotted name, and the queue it goes to."""

    function: str
    queue: str

    def job_id(self, key: str) -> str:
        """The one id of the job for this row."""
        return f"{self.function.rpartition('.')[2]}-{key}"


INDEX_PHOTO = JobKind("jobs.tasks.index_photo", PHOTOS)
MATCH_SELFIE = JobKind("jobs.tasks.match_selfie", SELFIES)
MATCH_PERSON = JobKind("jobs.tasks.match_person", MAINTENANCE)
REMATCH_EVENT = JobKind("jobs.tasks.rematch_event", MAINTENANCE)
RECONCILE_EVENT = JobKind("jobs.tasks.reconcile_event", MAINTENANCE)
REMOVE = JobKind("jobs.tasks.remove", MAINTENANCE)
SEND_MAIL = JobKind("jobs.tasks.send_mail", MAIL)
CHECK_PICTURE = JobKind("jobs.tasks.check_picture", SELFIES)
ERASE_PHOTOS = JobKind("jobs.tasks.erase_photos", MAINTENANCE)
REMOVE_TRACES = JobKind("jobs.tasks.remove_traces", MAINTENANCE)
COMPACT = JobKind("jobs.tasks.compact", MAINTENANCE)
JOB_KINDS = (
    INDEX_PHOTO,
    MATCH_SELFIE,
    MATCH_PERSON,
    REMATCH_EVENT,
    RECONCILE_EVENT,
    REMOVE,
    SEND_MAIL,
    CHECK_PICTURE,
    ERASE_PHOTOS,
    REMOVE_TRACES,
    COMPACT,
)


MATCHING = frozenset({MATCH_SELFIE, MATCH_PERSON, REMATCH_EVENT})
"""Jobs that find people on photos, whose way is told in the log."""


def connect(settings: Settings) -> redis.Redis:
    """A client that gives up at once: a page never waits for a Redis that is away."""
    return redis.Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=1,
        socket_timeout=2,
        retry=ConnectionRetry(NoBackoff(), 0),
        health_check_interval=30,
    )


def connection() -> redis.Redis:
    """The present app's client."""
    return cast("redis.Redis", current_app.extensions["redis"])


def queue(name: str) -> Queue:
    """One of QUEUES, with the serializer that our workers read."""
    return Queue(name, connection=connection(), serializer=JSONSerializer)


def enqueue_after_commit(kind: JobKind, key: str) -> None:
    """Remember a job for the end of the present unit of work. `key` is the row's public id."""
    db.session.info.setdefault(_PENDING, {})[(kind, key)] = None


@contextmanager
def unit_of_work() -> Iterator[None]:
    """Commit at the end, then enqueue what the services asked for; on an error neither happens."""
    with writing():
        db.session.info.pop(_PENDING, None)
        yield
        db.session.flush()
        pending = db.session.info.pop(_PENDING, {})
        db.session.commit()
    for kind, key in pending:
        if not try_enqueue(kind, key):
            break


def try_enqueue(kind: JobKind, key: str) -> bool:
    """Enqueue now; where that fails say so in the log and leave the row to the sweeper.

    The row is committed: whatever goes wrong here, its work is not lost, and the caller has nothing to undo.
    """
    try:
        enqueue(kind, key)
    except Exception as error:
        log.warning("queue.unreachable", job=kind.job_id(key), error=type(error).__name__)
        return False
    return True


def enqueue(kind: JobKind, key: str, trigger: str | None = None, *, alone: bool = False) -> None:
    """Enqueue the job of a row; that it is queued already is success, and it stays with who asked first.

    The job carries where it comes from: the id of the present request, and `trigger` or what that request is. With
    `alone` the worker runs it in a process that is started for it and ends after it.

    Raises:
        redis.RedisError: Redis is away.
    """
    origin = observability.origin(trigger) | ({ALONE: "yes"} if alone else {})
    with suppress(DuplicateJobError):
        try:
            _enqueue_unique(kind, key, origin)
        except DuplicateJobError:
            if _forget_ended(kind.job_id(key)):
                _enqueue_unique(kind, key, origin)


def _enqueue_unique(kind: JobKind, key: str, origin: dict[str, str]) -> None:
    settings: Settings = current_app.extensions["settings"]
    queue(kind.queue).enqueue_call(
        kind.function,
        args=(key,),
        job_id=kind.job_id(key),
        unique=True,
        timeout=settings.job_timeout,
        result_ttl=0,
        failure_ttl=7 * 24 * 3600,
        retry=Retry(max=3),
        meta=origin,
    )
    if kind in MATCHING:
        log.info("matching.enqueued", job=kind.job_id(key), **origin)


def _forget_ended(job_id: str) -> bool:
    """Remove a job that is over but still listed (failed ones are, for ops), so that its row can be tried anew."""
    try:
        job = Job.fetch(job_id, connection=connection(), serializer=JSONSerializer)
        if job.get_status() not in _OVER:
            return False
        job.delete()
    except (NoSuchJobError, InvalidJobOperation):
        pass  # it has just gone by itself
    return True


def enqueued_ids(name: str) -> set[str]:
    """Ids of all jobs that wait, run or are set aside in a queue: three reads, however many there are."""
    source = queue(name)
    return {
        *source.get_job_ids(),
        *source.started_job_registry.get_job_ids(cleanup=False),
        *source.scheduled_job_registry.get_job_ids(cleanup=False),
    }


def workers_alive() -> int | None:
    """How many workers' heartbeats have not run out; None when Redis is away."""
    try:
        keys = cast("set[bytes]", connection().smembers(REDIS_WORKER_KEYS))
        return connection().exists(*keys) if keys else 0
    except redis.RedisError:
        return None
