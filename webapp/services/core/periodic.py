"""Duties that come round again and that exactly one process of all machines carries out each time."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, update
from sqlalchemy.exc import IntegrityError

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Lease
from webapp.queueing import unit_of_work
from webapp.services.core import claims


def take(name: str, seconds: float) -> bool:
    """Whether this process has the duty now, and all others will not for so long: a row decides."""
    now = utcnow()
    until = now + timedelta(seconds=max(1.0, seconds))
    with unit_of_work():
        taken = db.session.execute(
            update(Lease)
            .where(Lease.name == name, Lease.expires_at <= now)
            .values(holder=claims.worker_name(), expires_at=until, last_run_at=now)
            .execution_options(synchronize_session=False)
        )
        if cast("CursorResult[Any]", taken).rowcount:
            return True
        if db.session.get(Lease, name) is not None:
            return False
        try:
            with db.session.begin_nested():
                db.session.add(Lease(name=name, holder=claims.worker_name(), expires_at=until, last_run_at=now))
        except IntegrityError:
            return False
    return True
