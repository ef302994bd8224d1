"""Moves the matching from the RQ workers into the web process: into the request, or into a pool of threads beside it.

Everything else is the product's: routes, services, gate, engine, argon2, database, gunicorn. What the product does in a
job after a selfie is done here at the place at which the job would be put into the queue.

Where a choice had to be made it favours the stand-ins: their engines are loaded before the first request, one for each
thread that may match, and the mails that the product sends meanwhile are not sent.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Flask
from sqlalchemy import select

from webapp import faces, queueing
from webapp.db.extensions import db
from webapp.faces import Engine
from webapp.faces.core.protocols import Meter
from webapp.models import Event
from webapp.queueing import MATCH_PERSON, MATCH_SELFIE, JobKind
from webapp.services.core import engines
from webapp.services.matching import face_templates, matching
from webapp.services.selfies import judging

log = structlog.get_logger()

POOL_SIZE = 10
"""MATCHING_THREAD_POOL_SIZE of the old system."""


class Engines:
    """Ready engines: one is not for several threads at once, so each piece of work borrows one."""

    def __init__(self, app: Flask, count: int) -> None:
        self._idle: queue.LifoQueue[tuple[Engine, Any]] = queue.LifoQueue()
        self._mine = threading.local()
        self._app = app
        setattr(engines, "of", lambda _name: self._mine.parts[0])  # noqa: B010 - mypy refuses the plain assignment
        setattr(face_templates, "_memory", lambda: self._mine.parts[1])  # noqa: B010 - as above
        with app.app_context():
            for _ in range(count):
                self._idle.put(self._load())

    @contextmanager
    def borrowed(self) -> Iterator[Engine]:
        self._mine.parts = self._idle.get()
        try:
            yield self._mine.parts[0]
        finally:
            self._idle.put(self._mine.parts)
            del self._mine.parts

    def _load(self) -> tuple[Engine, Any]:
        """An engine that holds the faces of every event already."""
        settings = self._app.extensions["settings"]
        engine = faces.load_engine("local", settings, _NoMeter(), self._app.extensions["redis"])
        self._mine.parts = (engine, face_templates._Memory())
        for event in db.session.scalars(select(Event)):
            face_templates.synced_index(event)
        db.session.rollback()
        return self._mine.parts


class _NoMeter(Meter):
    """The local engine costs nothing."""

    def allow(self, event_key: str, operation: str) -> None: ...

    def count(self, event_key: str, operation: str, calls: int = 1) -> None: ...


def in_the_request(app: Flask) -> Engines:
    """The old fault: whoever hands in a selfie waits until it is judged and matched."""
    ready = Engines(app, app.extensions["settings"].threads)
    _replace_queue(lambda kind, key: _work(app, ready, kind, key))
    return ready


def in_a_pool(app: Flask) -> Engines:
    """The old cure: the answer comes at once, and a thread of this process matches."""
    ready = Engines(app, POOL_SIZE)
    pool = ThreadPoolExecutor(POOL_SIZE)
    _replace_queue(lambda kind, key: pool.submit(_work, app, ready, kind, key))
    return ready


def _replace_queue(put: Callable[[JobKind, str], object]) -> None:
    def try_enqueue(kind: JobKind, key: str) -> bool:
        if kind in (MATCH_SELFIE, MATCH_PERSON):
            put(kind, key)
        return True

    setattr(queueing, "try_enqueue", try_enqueue)  # noqa: B010 - as above


def _work(app: Flask, ready: Engines, kind: JobKind, key: str) -> None:
    """What jobs.tasks does, with a context and so a database session of its own."""
    try:
        with app.app_context(), ready.borrowed():
            if kind is MATCH_PERSON:
                matching.match_person(key.partition("-")[0])
                return
            person_id = judging.check_selfie(key)
            if person_id is not None:
                matching.match_person_by_id(person_id)
    except Exception:
        log.exception("matching.failed", key=key)
