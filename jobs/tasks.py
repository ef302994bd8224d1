"""What runs in an RQ worker. Thin: an app, a log line, a service; the service writes the outcome into the row.

Jobs carry public ids only and can be run any number of times: each starts with a guard on its row.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog

from jobs.runtime import get_app
from webapp import mail
from webapp.services import engines, indexing, matching, reconciling, recovery, removals, selfies

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()


def job(work: Callable[P, T]) -> Callable[P, T]:
    """Run a function inside the app, with lines in the log around it."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with get_app().app_context(), structlog.contextvars.bound_contextvars(job=work.__name__, key=args[:1]):
            started = time.perf_counter()
            result = work(*args, **kwargs)
            log.info("job.finished", ms=round((time.perf_counter() - started) * 1000))
            return result

    return run


@job
def index_photo(public_id: str) -> None:
    """Renditions and faces of one photo."""
    indexing.index_photo(public_id)


@job
def match_selfie(public_id: str) -> None:
    """Judge a selfie; if it is accepted, find its person's photos at once."""
    person_id = selfies.check_selfie(public_id)
    if person_id is not None:
        matching.match_person_by_id(person_id)


@job
def match_person(key: str) -> None:
    """Compute one person's matches. `key` is the person's public id and the count of the mark that asked for it."""
    matching.match_person(key.partition("-")[0])


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
    removals.carry_out(public_id)


@job
def send_mail(public_id: str) -> None:
    """One message."""
    mail.send(public_id)


@job
def sweep() -> None:
    """Enqueue what waits without a job; called from each worker's maintenance loop."""
    recovery.sweep()


@job
def release_claims(worker_name: str) -> None:
    """Free the rows of a dead worker."""
    recovery.release_claims([worker_name])


@job
def warm_up() -> None:
    """Load the face engine before the first job comes."""
    engines.warm_up()
