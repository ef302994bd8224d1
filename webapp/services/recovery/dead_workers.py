"""Giving back the rows that were in the hands of workers that died."""

from collections.abc import Iterable

import structlog

from webapp.models import Person
from webapp.queueing import enqueue_after_commit, unit_of_work
from webapp.services.core import claims, rematch_requests
from webapp.services.core.claims import Death
from webapp.services.recovery.waiting_rows import CLAIMED

log = structlog.get_logger()


def release_claims(worker_names: Iterable[str]) -> int:
    """Free the rows that dead workers held, so that nobody waits for their leases to run out."""
    return record_deaths(worker_names, Death.INTERRUPTION)


def record_deaths(worker_names: Iterable[str], death: Death) -> int:
    """Free the rows that were in the hands of processes that died, and count the death; returns how many rows."""
    names, freed = list(worker_names), 0
    with unit_of_work():
        for kind in CLAIMED:
            for row in claims.count_deaths(kind.model, names, death):
                freed += 1
                log.info("claims.released", job=kind.job.job_id(row.public_id), death=death.value)
                if row.retry_at is None:
                    enqueue_after_commit(
                        kind.job, rematch_requests.job_key(row) if isinstance(row, Person) else row.public_id
                    )
    return freed
