"""What runs in an RQ worker. Thin: an app, a log line, a service; the service writes the outcome into the row.

Jobs carry public ids only and can be run any number of times: each starts with a guard on its row.
"""

import os
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from rq import get_current_job
from rq.utils import now
from structlog.contextvars import bound_contextvars

from jobs.runtime import get_app
from webapp import queueing
from webapp.ops import starting
from webapp.processes import WAS_READY
from webapp.services.core import claims, deletion_outbox, engines
from webapp.services.erasure import bulk, traces
from webapp.services.joining import ready_mails
from webapp.services.matching import face_templates, matching, reconciling
from webapp.services.matching.matching import Diff
from webapp.services.photos import indexing
from webapp.services.recovery import dead_workers, sweeper
from webapp.services.selfies import judging, precheck
from webapp.services.upkeep import cleanup
from webapp.settings import Settings
from webapp.web import mails

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()


def job(work: Callable[P, T]) -> Callable[P, T]:
    """Run a function inside the app, with lines in the log around it that name the request which it comes from."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with get_app().app_context(), bound_contextvars(job=work.__name__, key=args[:1], **_origin()):
            started = time.perf_counter()
            result = work(*args, **kwargs)
            log.info("job.finished", ms=_ms_since(started))
            return result

    return run


def matches(work: Callable[[str], Diff | None]) -> Callable[[str], None]:
    """Tell in the log when matching starts and what it changed."""

    @wraps(work)
    def run(key: str) -> None:
        log.info("matching.started", waited_ms=_waited_ms())
        started = time.perf_counter()
        try:
            diff = work(key) or Diff()
        except Exception as error:
            log.error("matching.failed", ms=_ms_since(started), error=type(error).__name__)
            raise
        log.info("matching.finished", ms=_ms_since(started), added=diff.added, removed=diff.removed)

    return run


def _origin() -> dict[str, str]:
    """What the web request, or whoever asked for this job, wrote on it; nothing between jobs."""
    present = get_current_job()
    meta = present.get_meta(refresh=False) if present is not None else {}
    return {name: meta[name] for name in ("request_id", "trigger") if name in meta}


def _ms_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _waited_ms() -> int | None:
    """For how long the present job has been in its queue."""
    present = get_current_job()
    if present is None or present.enqueued_at is None:
        return None
    return round((now() - present.enqueued_at).total_seconds() * 1000)


@job
def index_photo(public_id: str) -> None:
    """Renditions and faces of one photo."""
    indexing.index_photo(public_id)


@job
@matches
def match_selfie(public_id: str) -> Diff | None:
    """Judge a selfie; if it is accepted, find its person's photos at once."""
    person_id = judging.check_selfie(public_id)
    return matching.match_person_by_id(person_id) if person_id is not None else None


@job
def check_picture(key: str) -> None:
    """Say of a picture whether it would do as a selfie, to a request that waits."""
    precheck.judge(key)


@job
@matches
def match_person(key: str) -> Diff | None:
    """Compute one person's matches. `key` is the person's public id and the count of the mark that asked for it."""
    return matching.match_person(key.partition("-")[0])


@job
def rematch_event(public_id: str) -> None:
    """Mark everybody in an event."""
    matching.rematch_event(public_id)


@job
def reconcile_event(public_id: str) -> None:
    """Compare what a face service keeps of an event with the database, and mend what differs."""
    reconciling.reconcile_requested(public_id)


@job
def remove(public_id: str) -> None:
    """Remove what lies outside the database."""
    deletion_outbox.carry_out(public_id)


@job
def erase_photos(key: str) -> None:
    """Erase some of the photos that were deleted together. `key` is the event's public id and a number of the piece."""
    bulk.erase_piece(key.partition("-")[0])


@job
def remove_traces(_key: str) -> None:
    """Truncate the database's log, where erased faces would be left."""
    traces.remove_traces()


@job
def compact(_key: str) -> None:
    """Rewrite the database's file without what is free in it."""
    traces.compact()


@job
def drop_erased() -> None:
    """Drop faces and templates of events from which some were erased; called when the version of erasures has moved."""
    face_templates.drop_erased()


@job
def send_mail(public_id: str) -> None:
    """One message."""
    mails.send(public_id)


@job
def sweep() -> None:
    """Enqueue what waits without a job; called from each worker's maintenance loop."""
    face_templates.drop_erased()
    sweeper.sweep()
    ready_mails.tell()
    cleanup.tidy()


@job
def release_claims(worker_name: str) -> None:
    """Free the rows of a dead worker."""
    dead_workers.release_claims([worker_name])


@job
def record_death(worker_name: str, death: str) -> None:
    """Count the death of a worker's job process against the rows that it had in hand; `death` says of what it died."""
    dead_workers.record_deaths([worker_name], claims.Death(death))


def warm_up() -> None:
    """Look whether all parts answer, and load the face engine before the first job comes.

    A worker whose parts were right once replaces its job process while a store or Redis is away: mails go on, and what
    the dead process was at is recorded. Of the database it needs to know even then that it is not a newer one.

    Raises:
        ConfigurationError: a part will not do, such as a database that a newer version migrated.
        Transient: a part does not answer, or is not ready.
    """
    settings = Settings.from_env()
    if os.environ.get(WAS_READY):
        starting.check_database(settings)
    else:
        starting.check_parts(settings, needs_redis=True)
    load_engine()


@job
def load_engine() -> None:
    """Load the face engine, and say that this worker can match."""
    engines.warm_up()
    log.info("matching.workers_ready", n=queueing.workers_alive())
