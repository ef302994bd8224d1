"""After an erasure its bytes are nowhere: not in the database's files, not in the store, not in a worker's matrices."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, select

from jobs import tasks
from tests.support.actors import Api, World, photos_with, photos_without, selfie
from tests.support.servers import free_port
from webapp import queueing
from webapp.db.extensions import db
from webapp.models import Event, Face, FaceVector, InstallationFact, Person, Photo, Selfie, SelfieVector, User
from webapp.queueing import unit_of_work
from webapp.redis_keys import ERASURES
from webapp.services.core import engines
from webapp.services.erasure import bulk, event_erasure, photo_erasure, selfie_erasure, traces
from webapp.services.matching import face_templates
from webapp.services.recovery import sweeper

SLICE = 64
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def guests(api: Api, world: World) -> dict[str, Api]:
    """Two guests who were found on photos."""
    world.add_photos(world.event(), *photos_with("grace", 3), *photos_without("grace", 2))
    found = {name: api.register(world.code, name) for name in ("grace", "eileen")}
    for name, guest in found.items():
        assert guest.upload_selfie(selfie(name)).status_code == 200
    world.work()
    assert len(found["grace"].photo_ids()) == 3
    return found


@pytest.fixture
def context(app: Flask, guests: dict[str, Api]) -> Iterator[None]:
    """The app's, after the guests' requests."""
    with app.app_context():
        yield


def withdraw(name: str) -> None:
    with unit_of_work():
        selfie_erasure.withdraw(db.session.scalars(select(Person).where(Person.name == name)).one())


def template_of(app: Flask, name: str) -> list[bytes]:
    """Everything that the guest is searched with."""
    with app.app_context():
        person = db.session.scalars(select(Person).where(Person.name == name)).one()
        (vector,) = db.session.scalars(select(SelfieVector.vector).join(Selfie).where(Selfie.person_id == person.id))
        assert vector and person.expansion
        return [vector, person.expansion]


def faces_of(app: Flask, *photo_ids: str) -> list[bytes]:
    with app.app_context():
        wanted = select(FaceVector.vector).join(Face, Face.id == FaceVector.face_id).join(Photo)
        if photo_ids:
            wanted = wanted.where(Photo.public_id.in_(photo_ids))
        return [vector for vector in db.session.scalars(wanted) if vector]


def files(app: Flask) -> list[Path]:
    """The database's files and all blobs."""
    with app.app_context():
        database = Path(db.engine.url.database or "")
    beside = sorted(database.parent.glob(f"{database.name}*"))
    blobs = app.extensions["settings"].blobs_dir
    return [*beside, *(path for path in blobs.rglob("*") if path.is_file())]


def found_in(app: Flask, vectors: list[bytes]) -> set[str]:
    """Names of the files that hold any part of these vectors."""
    parts = [vector[at : at + SLICE] for vector in vectors for at in range(0, len(vector) - SLICE + 1, SLICE)]
    assert parts
    return {path.name for path in files(app) if any(part in path.read_bytes() for part in parts)}


def the_event() -> Event:
    return db.session.scalars(select(Event).order_by(Event.id)).first()  # type: ignore[return-value]


def owed() -> bool:
    try:
        return traces.is_owed()
    finally:
        db.session.rollback()


# --- SQLite's files ---


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("DELETE", "/my-selfie", None), ("POST", "/consent", {"granted": False})],
    ids=["the selfie is deleted", "consent is taken back"],
)
def test_no_file_holds_an_erased_template(
    app: Flask, world: World, guests: dict[str, Api], method: str, path: str, body: dict[str, bool] | None
) -> None:
    gone, staying = template_of(app, "grace"), template_of(app, "eileen")
    assert found_in(app, gone)
    assert guests["grace"].call(method, path, json=body).status_code == 200
    world.work()
    assert found_in(app, gone) == set()
    assert found_in(app, staying)


@on_sqlite
def test_no_file_holds_a_replaced_template(app: Flask, world: World, guests: dict[str, Api]) -> None:
    gone = template_of(app, "grace")[:1]
    guests["grace"].upload_selfie(selfie("eileen"))
    world.work()
    assert found_in(app, gone) == set()


@on_sqlite
def test_no_file_holds_the_faces_of_a_deleted_photo(app: Flask, world: World, context: None) -> None:
    photo_id = db.session.scalars(select(Photo.public_id).order_by(Photo.id)).first() or ""
    gone = faces_of(app, photo_id)
    staying = [vector for vector in faces_of(app) if vector not in gone]
    with unit_of_work():
        photo_erasure.erase_photo(db.session.scalars(select(Photo).where(Photo.public_id == photo_id)).one(), None)
    world.work()
    assert found_in(app, gone) == set()
    assert found_in(app, staying)


@on_sqlite
def test_no_file_holds_the_faces_of_many_deleted_photos(
    app: Flask, world: World, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 0)
    gone = faces_of(app)
    with unit_of_work():
        assert len(bulk.erase(the_event(), Photo.id > 0, None)) == 5
    world.work()
    assert found_in(app, gone) == set()


@on_sqlite
def test_no_file_holds_a_face_of_a_deleted_event(app: Flask, world: World, context: None) -> None:
    gone = [*faces_of(app), *template_of(app, "grace"), *template_of(app, "eileen")]
    with unit_of_work():
        owner = db.session.scalars(select(User).where(User.email == "photographer@example.com")).one()
        event_erasure.delete_event(the_event(), "party", owner)
    world.work()
    assert found_in(app, gone) == set()
    assert not [path for path in app.extensions["settings"].blobs_dir.rglob("*") if "events" in path.parts]


@on_sqlite
def test_a_reader_puts_off_the_checkpoint_until_it_has_ended(
    app: Flask, world: World, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "ATTEMPTS", 1)
    monkeypatch.setattr(traces, "ATTEMPT_SECONDS", 0.05)
    monkeypatch.setattr(sweeper.periodic, "take", lambda *_: True)
    gone = template_of(app, "grace")
    with closing(sqlite3.connect(db.engine.url.database or "", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM selfie_vector").fetchall()
        withdraw("grace")
        world.work()
        assert owed() and found_in(app, gone)
        sweeper.sweep()
        world.work()
        assert owed(), "the reader is still there"
    sweeper.sweep()
    world.work()
    assert not owed()
    assert found_in(app, gone) == set()


@on_sqlite
def test_an_idle_connection_caches_no_pages(app: Flask) -> None:
    statements: list[str] = []
    with app.app_context(), db.engine.connect() as connection:
        connection.connection.driver_connection.set_trace_callback(statements.append)  # type: ignore[union-attr]
    assert statements[-1] == "PRAGMA shrink_memory"


@on_sqlite
def test_every_connection_overwrites_what_it_deletes(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1


@on_sqlite
def test_the_file_is_rewritten_once_a_day_after_erasures(app: Flask, world: World, context: None) -> None:
    def free_pages() -> int:
        with db.engine.connect() as connection:
            return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)

    with unit_of_work():
        db.session.add_all(InstallationFact(name=f"large {number}", value="x" * 3000) for number in range(20))
    with unit_of_work():
        db.session.execute(delete(InstallationFact).where(InstallationFact.name.startswith("large")))
        event_erasure.erase_event(the_event(), None)
    world.work()
    assert free_pages() > 0
    traces.compact_daily()
    world.work()
    assert free_pages() == 0
    traces.compact_daily()
    assert world.work() == 0, "nothing was erased since"


# --- the version, and what workers hold ---


@pytest.mark.both_databases
def test_each_erasure_raises_the_version_and_an_undone_one_does_not(app: Flask, world: World, context: None) -> None:
    def state() -> tuple[int, bytes | None]:
        db.session.rollback()
        return traces.version(), queueing.connection().get(ERASURES)  # type: ignore[return-value]

    before = state()
    with suppress(ZeroDivisionError), unit_of_work():
        event_erasure.erase_event(the_event(), None)
        1 / 0  # noqa: B018 - whatever goes wrong
    with unit_of_work():
        the_event().name = "Fete"
    assert state() == before
    withdraw("grace")
    after = state()
    assert after[0] == before[0] + 1
    assert after[1] != before[1]
    with unit_of_work():
        event_erasure.erase_event(the_event(), None)
    assert state()[0] == after[0] + 1


@pytest.mark.both_databases
def test_a_worker_drops_the_templates_of_an_event_from_which_some_went(app: Flask, context: None) -> None:
    held = face_templates.all_templates(the_event())
    assert held.matrix.any()
    withdraw("grace")
    face_templates.drop_erased()
    assert not held.matrix.any()
    assert app.extensions["vector_memory"].templates == {}


@pytest.mark.both_databases
def test_a_worker_drops_all_matrices_of_a_deleted_event(app: Flask, context: None) -> None:
    event = the_event()
    held, gallery = face_templates.all_templates(event), engines.gallery(event)
    index = face_templates.synced_index(event)
    rows = index._galleries[event.id, "photos"]._rows[: index.size(gallery)]  # type: ignore[attr-defined]
    assert rows.any()
    with unit_of_work():
        event_erasure.erase_event(event, None)
    face_templates.drop_erased()
    assert not index.size(gallery) and not rows.any() and not held.matrix.any()
    assert app.extensions["vector_memory"].faces == {}


def test_matrices_of_other_events_stay(app: Flask, world: World, context: None) -> None:
    other = world.event("OTHER234")
    with unit_of_work():
        event_erasure.erase_event(db.session.scalars(select(Event).where(Event.public_id == other)).one(), None)
    held = face_templates.all_templates(the_event())
    face_templates.drop_erased()
    assert face_templates.all_templates(the_event()) is held and held.matrix.any()


def test_a_busy_worker_drops_them_before_its_next_use(app: Flask, world: World, context: None) -> None:
    world.event("OTHER234")
    held = face_templates.all_templates(the_event())
    with unit_of_work():
        event_erasure.erase_event(the_event(), None)
    face_templates.all_templates(the_event())
    assert not held.matrix.any()


def test_a_sweep_drops_them_while_redis_is_away(app: Flask, context: None, monkeypatch: pytest.MonkeyPatch) -> None:
    held = face_templates.all_templates(the_event())
    away = app.extensions["settings"].model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    monkeypatch.setitem(app.extensions, "redis", queueing.connect(away))
    with unit_of_work():
        event_erasure.erase_event(the_event(), None)
    tasks.sweep()
    assert not held.matrix.any()
