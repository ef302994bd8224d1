"""Rematches: whom they are about, what they count, and what becomes of them when things happen meanwhile."""

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.crowd import add_guest, add_photo, asked, event_of, user_of
from webapp import queueing
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.models import Match, Membership, Person, Rematch, RematchPerson, User
from webapp.queueing import unit_of_work
from webapp.services.core import claims, rematch_requests
from webapp.services.erasure import selfie_erasure
from webapp.services.matching import matching, rematches, searching
from webapp.services.recovery import dead_workers, sweeper

pytestmark = pytest.mark.both_databases

OWNER = "photographer@example.com"


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


def ask(app: Flask, event_id: str) -> int:
    with app.app_context(), unit_of_work():
        return matching.request_rematch(event_of(event_id), user_of(OWNER))


def state(app: Flask, event_id: str) -> rematches.State:
    with app.app_context():
        return rematches.of_event(event_of(event_id))


def report(app: Flask, event_id: str) -> rematches.Report:
    found = state(app, event_id).report
    assert found is not None
    return found


def people(app: Flask, event_id: str, *names: str, photos: int = 1) -> None:
    """Guests with a sure, a confirmed and a doubtful match on each of some photos; no face resembles them."""
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        add_all = [add_guest(event, f"{name}@example.com") for name in names]
        first = len(db.session.scalars(select(Match.id)).all()) + 1
        for number in range(photos):
            add_photo(event, first + number, add_all)


def person_of(name: str) -> Person:
    return db.session.scalars(select(Person).where(Person.name == name)).one()


def test_guests_who_come_later_do_not_count(app: Flask, api: Api, world: World, event_id: str) -> None:
    world.add_photos(event_id, *photos_with("grace", 3))
    api.register(world.code, "early").upload_selfie(selfie("grace"))
    without = api.register(world.code, "without")
    world.work()
    assert ask(app, event_id) == 1
    # One joins before it starts, one uploads while it runs, one long after.
    api.register(world.code, "soon").upload_selfie(selfie("grace"))
    with app.app_context():
        assert matching.rematch_event(event_id) == 1
    without.upload_selfie(selfie("grace"))
    world.work()
    api.register(world.code, "late").upload_selfie(selfie("grace"))
    world.work()
    told = report(app, event_id)
    assert (told.people, told.pending, told.added, told.removed, told.kept) == (1, 0, 0, 0, 3)
    page = text(Browser(app).sign_in(OWNER, PASSWORD).get(f"/studio/events/{event_id}"))
    assert "Searched again for 1 person" in page and "0 matches added" in page


def test_a_computation_from_before_is_not_its_outcome(app: Flask, api: Api, world: World, event_id: str) -> None:
    """A worker that searched before the rematch started stores what it found after that."""
    world.add_photos(event_id, *photos_with("grace", 2))
    api.register(world.code).upload_selfie(selfie("grace"))
    world.work()
    with app.app_context(), unit_of_work():
        db.session.delete(db.session.scalars(select(Match)).all()[0])
        rematch_requests.mark([person_of("ada").id])
    with app.app_context():
        public_id = person_of("ada").public_id
        token = claims.claim(Person, public_id, Person.match_wanted != Person.match_done)
        assert token is not None
        with reading():
            person_id, answered = person_of("ada").id, person_of("ada").match_wanted
        outcome = searching.search(person_id, token)
    ask(app, event_id)
    with app.app_context():
        matching.rematch_event(event_id)
        diff = matching._store(public_id, token, answered, outcome)
        assert diff is not None and (diff.added, diff.again) == (1, True)
    assert (report(app, event_id).pending, report(app, event_id).added) == (1, 0)
    world.work()
    assert (report(app, event_id).pending, report(app, event_id).added, report(app, event_id).kept) == (0, 0, 2)


def test_a_request_joins_the_one_that_waits_and_brings_who_came_since(app: Flask, world: World, event_id: str) -> None:
    people(app, event_id, "ada")
    assert ask(app, event_id) == 1
    people(app, event_id, "bob")
    assert ask(app, event_id) == 2
    with app.app_context():
        assert len(db.session.scalars(select(Rematch)).all()) == 1
    world.work()
    assert (report(app, event_id).people, report(app, event_id).pending, report(app, event_id).removed) == (2, 0, 4)


def test_a_request_while_one_runs_makes_a_new_one_that_takes_its_place(app: Flask, world: World, event_id: str) -> None:
    people(app, event_id, "ada", "bob")
    ask(app, event_id)
    with app.app_context():
        matching.rematch_event(event_id)
        matching.match_person_by_id(person_of("ada").id)
    first = report(app, event_id)
    assert (first.people, first.pending, first.removed) == (2, 1, 2)
    ask(app, event_id)
    assert state(app, event_id).requested and report(app, event_id) == first
    world.work()
    last = report(app, event_id)
    # What the first one did for ada is its own; for bob it never came to an end.
    assert last.at > first.at and (last.people, last.pending, last.removed, last.kept) == (2, 0, 2, 0)
    with app.app_context():
        assert len(db.session.scalars(select(Rematch)).all()) == 1
        assert len(db.session.scalars(select(RematchPerson)).all()) == 2


def test_who_leaves_meanwhile_counts_no_more_and_holds_nothing_up(app: Flask, world: World, event_id: str) -> None:
    people(app, event_id, "ada", "bob", "eve", "ken")
    ask(app, event_id)
    with app.app_context(), unit_of_work():
        db.session.delete(db.session.scalars(select(Membership).join(User).where(User.name == "ada")).one())
    with app.app_context():
        assert matching.rematch_event(event_id) == 3
        with unit_of_work():
            selfie_erasure.withdraw(person_of("bob"))
        with unit_of_work():
            db.session.delete(db.session.scalars(select(Membership).join(User).where(User.name == "eve")).one())
    assert (report(app, event_id).people, report(app, event_id).pending) == (1, 1)
    world.work()
    assert not state(app, event_id).running
    assert (report(app, event_id).people, report(app, event_id).removed) == (1, 2)


def test_a_worker_that_dies_holds_up_but_loses_nothing(
    app: Flask, world: World, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(app, event_id, "ada", "bob")
    ask(app, event_id)
    queueing.connect(app.extensions["settings"]).flushall()  # the job is lost with its queue
    with app.app_context():
        assert sweeper.sweep() == 1
    world.work("maintenance", limit=1)
    with app.app_context(), monkeypatch.context() as patch:
        patch.setenv("RQ_WORKER_ID", "dead")
        token = claims.claim(Person, person_of("ada").public_id, Person.match_wanted != Person.match_done)
        assert token is not None
    world.work()
    assert (report(app, event_id).pending, report(app, event_id).removed) == (1, 2)
    with app.app_context():
        dead_workers.release_claims(["dead"])
        matching.match_person_by_id(person_of("ada").id)
    assert (report(app, event_id).pending, report(app, event_id).removed) == (0, 4)


def test_who_cannot_be_searched_is_told_and_later_tries_do_not_count(app: Flask, world: World, event_id: str) -> None:
    people(app, event_id, "ada", "bob")
    ask(app, event_id)
    with app.app_context():
        matching.rematch_event(event_id)
        public_id = person_of("ada").public_id
        token = claims.claim(Person, public_id, Person.match_wanted != Person.match_done)
        assert token is not None
        matching._give_up(public_id, token, "crashed")
    world.work()
    told = report(app, event_id)
    assert (told.people, told.pending, told.failed, told.removed) == (2, 0, 1, 2)
    page = " ".join(text(Browser(app).sign_in(OWNER, PASSWORD).get(f"/studio/events/{event_id}")).split())
    assert "1 person could not be searched" in page
    with app.app_context(), unit_of_work():
        rematch_requests.mark([person_of("ada").id])
    world.work()
    assert report(app, event_id) == told


def test_an_event_of_a_thousand_guests_is_asked_for_in_few_statements(app: Flask, event_id: str) -> None:
    def statements(guests: int) -> int:
        people(app, event_id, *[f"guest-{guests}-{number}" for number in range(guests)], photos=0)
        with asked(app) as noted:
            ask(app, event_id)
        return len(noted.statements)

    assert statements(2) >= statements(40)
    with app.app_context():
        event = event_of(event_id)
        assert event.public_id
        with asked(app) as noted:
            rematches.of_events([event])
    assert len(noted.statements) <= 2
