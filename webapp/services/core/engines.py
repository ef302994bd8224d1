"""The face engines of the present app, loaded once per process and only where they are used: never in a web process.

An event keeps the engine that it was made with, whatever the installation chooses for new ones later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from flask import current_app
from sqlalchemy import select

from webapp import faces
from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import ConfigurationError, NotFound, Transient
from webapp.faces import Engine
from webapp.faces.core.protocols import Gallery, SelfieOnlooker
from webapp.models import Event
from webapp.queueing import RECONCILE_EVENT, connection, enqueue_after_commit, unit_of_work
from webapp.services.core import alarms
from webapp.services.core.usage_meter import CostMeter

_ON_THIS_MACHINE = "local"


def of(name: str) -> Engine:
    """The engine of this name."""
    loaded: dict[str, Engine] = current_app.extensions.setdefault("face_engines", {})
    if name not in loaded:
        loaded[name] = faces.load_engine(name, current_app.extensions["settings"], CostMeter(), connection())
    return loaded[name]


def onlooker() -> SelfieOnlooker:
    """What looks at selfies of people who have not agreed to anything yet: on this machine, whatever an event has.

    Raises:
        ConfigurationError: the local engine is none that can.
    """
    found = of(_ON_THIS_MACHINE).onlooker
    if found is None:
        raise ConfigurationError("The local face engine can't look at a selfie without making a template of the face.")
    return found


def warm_up() -> None:
    """Load the engine of new events before the first job comes."""
    of(current_app.extensions["settings"].face_engine)


def gallery(event: Event) -> Gallery:
    """The faces of the event's photos."""
    return Gallery(event.id, event.public_id, "photos")


def ready(event_id: int) -> str:
    """Make sure that the event's galleries exist before its first face; returns the version of their faces.

    Once they have been made, a missing one is a loss and not a beginning: then nothing is made here, and the first
    call finds out. Call it outside any transaction.
    """
    event = db.session.get_one(Event, event_id)
    name, version, place = event.engine, event.engine_version, gallery(event)
    db.session.rollback()
    if version:
        return version
    version = of(name).index.prepare(place)
    with unit_of_work():
        made_for = db.session.scalar(select(Event).where(Event.id == event_id).with_for_update())
        if made_for is not None:
            made_for.engine_version = made_for.engine_version or version
            return made_for.engine_version
    drop_galleries(name, place)
    raise NotFound(code="event_code_unknown")


def drop_galleries(name: str, photos: Gallery) -> None:
    """Forget both galleries of an event that was erased while they were made."""
    for place in (photos, replace(photos, kind="guests")):
        of(name).index.drop(place)


@contextmanager
def watching(event_key: str, engine: str) -> Iterator[None]:
    """Around work with an event's blobs and galleries: missing rights raise their alarm, and a gallery that somebody
    deleted (or a face in it) is noticed, told, and made again by a job.

    Raises:
        Transient: the gallery is missing, or not complete; what was to be done can be done once it is complete again.
    """
    proved = ("engine_rights", "storage_rights") if of(engine).index.keeps_faces else ("storage_rights",)
    try:
        with alarms.guard(*proved):
            yield
    except NotFound as error:
        if error.code not in ("engine_missing", "engine_face_missing") or _is_gone(event_key):
            raise
        alarms.raise_alarm("engine_missing", event_key)
        with unit_of_work():
            request_reconciliation(event_key)
        raise Transient(code="engine_missing") from error


def _is_gone(event_key: str) -> bool:
    """Whether the event was erased: then its galleries are missing as they should be."""
    with reading():
        return db.session.scalar(select(Event.id).where(Event.public_id == event_key)) is None


def request_reconciliation(event_key: str) -> None:
    """Ask for a comparison of what a service keeps of the event with what the database says."""
    event = db.session.scalar(select(Event).where(Event.public_id == event_key))
    if event is not None:
        event.reconcile_requested_at = event.reconcile_requested_at or utcnow()
        enqueue_after_commit(RECONCILE_EVENT, event_key)
