"""Alarms: faults that only ops can mend, from the first time they are met until they are gone.

An alarm is a row, so that every machine's faults are seen in one place. Nothing is written while nothing is wrong:
each process remembers which alarms may be open, and asks the database again every now and then.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import structlog
from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from webapp.clock import utcnow
from webapp.db.database import beside
from webapp.db.extensions import db
from webapp.errors import MissingRights
from webapp.models import Alarm

log = structlog.get_logger()

RIGHTS = ("engine_rights", "storage_rights")
"""Keys or permissions are wrong: a call that works proves that they are no longer."""

FORWARDED = "forwarded_addresses"
"""Requests came through a proxy that the settings say nothing of, or somebody says so."""

NAMES = (*RIGHTS, "engine_missing", FORWARDED)
"""All alarms; each has a sentence in `webapp.reasons`."""

_REKOGNITION = (
    "CreateCollection DescribeCollection DeleteCollection IndexFaces ListFaces DeleteFaces SearchFaces "
    "SearchFacesByImage CreateUser AssociateFaces DisassociateFaces ListUsers SearchUsersByImage DeleteUser"
)
_S3 = (
    "GetObject PutObject DeleteObject DeleteObjectVersion ListBucket ListBucketVersions ListBucketMultipartUploads "
    "ListMultipartUploadParts AbortMultipartUpload"
)
ACTIONS = {
    "engine_rights": tuple(f"rekognition:{action}" for action in _REKOGNITION.split()),
    "storage_rights": (*(f"s3:{action}" for action in _S3.split()), "kms:GenerateDataKey", "kms:Decrypt"),
}
"""Alarm → what an IAM policy has to allow; the last two of S3 only where a key of KMS encrypts."""

REFRESH_SECONDS = 30
MAX_DETAIL = 255


@dataclass
class _Memory:
    """Which alarms may be open, as this process knows it."""

    names: set[str] = field(default_factory=set)
    asked_at: float | None = None
    """On the monotonic clock; None: never yet."""
    lock: Lock = field(default_factory=Lock)


def raise_alarm(name: str, detail: str) -> None:
    """Say that a fault was met, in a transaction of its own; call it outside any unit of work.

    `detail` tells which operation and which answer, never a person. Where it can't be written it is still in the log.
    """
    detail, now = detail[:MAX_DETAIL], utcnow()
    log.error("alarm.raised", alarm=name, detail=detail)
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    row = insert(Alarm).values(name=name, detail=detail, count=1, raised_at=now, last_seen_at=now)
    again = {"detail": detail, "count": Alarm.count + 1, "last_seen_at": now}
    try:
        with beside(db.engine) as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=again))
    except (SQLAlchemyError, RuntimeError) as error:
        log.error("alarm.not_kept", alarm=name, error=type(error).__name__)
        return
    memory = _memory()
    with memory.lock:
        memory.names.add(name)


def clear(name: str, *, before: datetime | None = None) -> None:
    """Say that a fault is gone; with `before` only if it was last met before this moment.

    Costs nothing while the alarm is not open. Where it can't be written the alarm stays until the next success.
    """
    try:
        if name in _may_be_open():
            _close(name, before)
    except (SQLAlchemyError, RuntimeError) as error:
        log.warning("alarm.not_cleared", alarm=name, error=type(error).__name__)


@contextmanager
def guard(*proved: str) -> Iterator[None]:
    """Around work that calls a service: missing rights raise their alarm, and success clears it.

    `proved` names the alarms that this work can't succeed under (by default all of RIGHTS). A success counts only if
    the work began after the fault was last met: what has been under way for longer proves nothing.

    Raises:
        MissingRights: as the work did.
    """
    began = utcnow()
    try:
        yield
    except MissingRights as error:
        raise_alarm(error.code, error.detail)
        raise
    for name in proved or RIGHTS:
        clear(name, before=began)


def open_alarms() -> list[Alarm]:
    """The alarms that are open, the latest first."""
    return list(db.session.scalars(select(Alarm).order_by(Alarm.last_seen_at.desc(), Alarm.name)))


def _memory() -> _Memory:
    memory: _Memory = current_app.extensions.setdefault("alarms", _Memory())
    return memory


def _may_be_open() -> set[str]:
    memory = _memory()
    with memory.lock:
        now = time.monotonic()
        if memory.asked_at is None or now - memory.asked_at > REFRESH_SECONDS:
            with db.engine.connect() as connection:
                memory.names = set(connection.scalars(select(Alarm.name)))
            memory.asked_at = now
        return set(memory.names)


def _close(name: str, before: datetime | None) -> None:
    ended = delete(Alarm).where(Alarm.name == name)
    if before is not None:
        ended = ended.where(Alarm.last_seen_at < before)
    with beside(db.engine) as connection:
        gone = connection.execute(ended).rowcount
    if gone:
        log.info("alarm.cleared", alarm=name)
    memory = _memory()
    with memory.lock:
        # Another process may have met the fault again, or cleared it first: the next look tells.
        memory.asked_at = None
