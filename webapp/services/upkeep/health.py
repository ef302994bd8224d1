"""Which parts of the installation are up."""

import redis
from rq.worker_registration import REDIS_WORKER_KEYS
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp.db.extensions import db
from webapp.errors import FindMeError
from webapp.queueing import connection
from webapp.services.core import blobs

ESSENTIAL = frozenset({"database", "storage"})
"""Without these nothing can be taken in."""


def missing_parts() -> list[str]:
    """The parts that don't answer: database, storage, redis, workers."""
    checks = {"database": _database, "storage": _storage, "redis": _redis, "workers": _workers}
    return [name for name, answers in checks.items() if not answers()]


def _database() -> bool:
    try:
        db.session.execute(text("SELECT name FROM lease LIMIT 1"))
        db.session.rollback()
    except SQLAlchemyError:
        return False
    return True


def _storage() -> bool:
    try:
        blobs.store().check()
    except FindMeError:
        return False
    return True


def _redis() -> bool:
    """Whether it takes a write: one that only reads, or whose memory is full, carries no job."""
    try:
        return bool(connection().set("findme:health", 1, ex=60))
    except redis.RedisError:
        return False


def _workers() -> bool:
    """At least one worker whose heartbeat has not run out."""
    try:
        keys = connection().smembers(REDIS_WORKER_KEYS)
        return any(connection().exists(key) for key in keys)
    except redis.RedisError:
        return False
