"""Events with many children: stricter thresholds, and nothing is shown before its guest has said that it is theirs."""

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, photos_with, photos_without, selfie
from tests.support.browsing import HTMX, Browser, text
from tests.support.crowd import DETAILS, event_of, user_of
from tests.support.drawn_faces import DIMENSIONS, add_face, at, found
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.faces import rekognition
from webapp.models import Band, Event, Match, Person, Photo, RematchTrigger, User, UserRole, Verdict
from webapp.queueing import unit_of_work
from webapp.services.core import claims, rematch_requests
from webapp.services.events import events
from webapp.services.matching import hosted_search, matching, rematches, searching
from webapp.services.queries import event_figures, guest_list, guests_without
from webapp.services.queries.guests_without import Why
from webapp.services.rules import thresholds

pytestmark = pytest.mark.both_databases


OWNER = "photographer@example.com"


def switch(app: Flask, event_id: str, many: bool) -> int:
    with app.app_context(), unit_of_work():
        return events.set_many_children(event_of(event_id), many, user_of(OWNER))


@pytest.fixture
def event_id(world: World) -> str:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3), *photos_without("grace", 1))
    return event_id


@pytest.fixture
def guest(api: Api, world: World, event_id: str) -> Api:
    guest = api.register(world.code, "ada")
    guest.upload_selfie(selfie("grace"))
    return guest


def asked(guest: Api) -> list[str]:
    return [row["match_id"] for row in guest.get("/my-photos?band=maybe").json]


def ways_in(app: Flask, guest: Api) -> list[str]:
    """Every way on which a guest gets one of the event's photos, or is told that it is theirs."""
    browser = Browser(app).sign_in("ada", PASSWORD)
    with app.app_context():
        ids = db.session.scalars(select(Photo.public_id)).all()
    pages = [f"/e/PARTY234/photos/{key}" for key in ids]
    pages += [f"/photos/{key}/download?size={size}" for key in ids for size in ("original", "web")]
    pages += [f"/media/photos/{key}/{size}" for key in ids for size in ("original", "preview", "thumbnail")]
    pages += [f"/api/photo/{key}?size={size}" for key in ids for size in ("original", "preview", "thumbnail")]
    opened = []
    for path in pages:
        with browser.get(path) as answer:
            opened += [path] if answer.status_code != 404 else []
    lists = ["/e/PARTY234/photos", "/api/my-photos", "/api/all-photos", "/api/my-photos?band=maybe"]
    shown = {path: browser.get(path).text for path in lists}
    shown["live"] = browser.get("/e/PARTY234/photos/live", headers=HTMX).text
    opened += [path for path, page in shown.items() if any(key in page for key in ids)]
    told = guest.get("/rematch-status").json["matches"] + guest.get("/user/event-expiration").json["photos"]
    return opened + (["counts"] if told else [])


# --- a new event ---


def test_the_form_asks_and_the_event_has_the_answer(app: Flask, world: World) -> None:
    world.person(OWNER, UserRole.PHOTOGRAPHER)
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    assert "Are there many children?" in owner.get("/studio/events/new").text
    owner.submit("/studio/events/new", DETAILS | {"many_children": "y"})
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        assert event.many_children
        address, code = f"/studio/events/{event.public_id}/settings", event.code
    assert '<input type="radio" name="many_children" value="y" checked>' in owner.get(address).text
    # A form of before, which does not ask, changes nothing; nor does an answer that is the same.
    owner.submit(address, DETAILS | {"code": code})
    owner.submit(address, DETAILS | {"code": code, "many_children": "y"})
    with app.app_context():
        assert db.session.scalars(select(Event.many_children)).one()
        assert not rematches.of_event(db.session.scalars(select(Event)).one()).requested
    owner.submit(address, DETAILS | {"code": code, "many_children": ""})
    with app.app_context():
        assert not db.session.scalars(select(Event.many_children)).one()


def test_the_api_takes_and_tells_it(api: Api, world: World) -> None:
    world.person(OWNER, UserRole.PHOTOGRAPHER)
    owner = api.login(OWNER)
    body = {"name": "Summer camp", "date": "2026-07-01"}
    assert owner.post("/photographer/events", json=body).json["many_children"] is False
    made = owner.post("/photographer/events", json=body | {"many_children": True}).json
    assert made["many_children"] is True
    assert {row["many_children"] for row in owner.get("/photographer/events").json} == {True, False}
    path = f"/photographer/events/{made['id']}/many-children"
    for many in (False, False, True):
        answer = owner.call("PUT", path, json={"many_children": many})
        assert (answer.status_code, answer.json["many_children"], answer.json["selfies"]) == (200, many, 0)
    assert owner.call("PUT", path, json={}).status_code == 422


def test_nothing_is_shown_before_it_is_confirmed(app: Flask, world: World, event_id: str, guest: Api) -> None:
    switch(app, event_id, many=True)
    world.work()
    with app.app_context():
        assert {match.band for match in db.session.scalars(select(Match))} == {Band.MAYBE}
    assert ways_in(app, guest) == []
    questions = asked(guest)
    assert len(questions) == 3
    browser = Browser(app).sign_in("ada", PASSWORD)
    page = text(browser.get("/e/PARTY234/photos"))
    assert "3 faces that may be yours" in page and "we ask about every photo" in page
    assert browser.get(f"/media/crops/{questions[0]}").status_code == 200
    guest.post(f"/matches/{questions[0]}", json={"verdict": "confirmed"})
    guest.post(f"/matches/{questions[1]}", json={"verdict": "rejected"})
    world.work()
    (mine,) = guest.photo_ids()
    assert guest.get(f"/photo/{mine}?size=original").status_code == 200
    assert asked(guest) == questions[2:]
    assert guest.get("/rematch-status").json["matches"] == 1
    assert len([way for way in ways_in(app, guest) if way.startswith("/media/photos/")]) == 3, "of one photo"


def test_what_is_only_asked_is_not_found_in_the_studio(app: Flask, world: World, event_id: str, guest: Api) -> None:
    world.work()
    switch(app, event_id, many=True)
    for _ in ("before the rematch", "after it"):
        with app.app_context():
            event = event_of(event_id)
            assert event_figures.of_event(event).found == 0
            assert guests_without.count_by_reason(event) == {Why.ASKED: 1}
            (row,) = guest_list.guests_of(event)
            assert row.photos == 0
            public_id = row.public_id
        page = text(Browser(app).sign_in(OWNER, PASSWORD).get(f"/studio/events/{event_id}/guests/{public_id}"))
        assert page.count("Maybe") == 3 and "Found" not in page
        world.work()
    guest.post(f"/matches/{asked(guest)[0]}", json={"verdict": "confirmed"})
    with app.app_context():
        assert event_figures.of_event(event_of(event_id)).found == 1


# --- thresholds ---


def test_thresholds_are_stricter_on_each_engine_s_scale(app: Flask, world: World) -> None:
    settings = app.extensions["settings"]
    world.event()
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        usual = thresholds.thresholds_of(event, settings)
        event.many_children = True
        assert thresholds.thresholds_of(event, settings) == thresholds.Thresholds(0.65, 0.52, asks=True)
        assert thresholds.thresholds_of(event, settings).band(0.99, weak=False) is Band.MAYBE
        assert thresholds.thresholds_of(event, settings).band(0.51, weak=False) is Band.NONE
        strict = settings.model_copy(update={"sure_threshold": 0.7, "maybe_threshold": 0.6})
        assert thresholds.thresholds_of(event, strict) == thresholds.Thresholds(0.7, 0.6, asks=True)
        event.engine = rekognition.ENGINE
        assert thresholds.thresholds_of(event, settings) == thresholds.Thresholds(0.98, 0.90, asks=True)
        assert not usual.asks
        db.session.rollback()


def test_the_switch_is_a_diff_and_so_is_switching_back(app: Flask, world: World, known: int) -> None:
    """Confirmed and rejected stay; what was sure becomes a question; what is weak goes, and comes back."""
    axes = np.eye(DIMENSIONS, dtype=np.float32)
    with app.app_context():
        far = [add_face(known, at(cosine, axes[0], axes[3 + n])) for n, cosine in enumerate((0.45, 0.5))]
        near, nearer, yes, no = (
            add_face(known, at(c, axes[0], axes[9 + n])) for n, c in enumerate((0.7, 0.8, 0.66, 0.9))
        )
        asked_about = add_face(known, at(0.54, axes[0], axes[20]))
        bands = found(known)
        assert bands.keys() == {*far, near, nearer, yes, no, asked_about}
        event_id = db.session.scalars(select(Event.public_id)).one()
        user = db.session.scalars(select(User).where(User.email == "axis@example.com")).one()
        for face_id, verdict in ((yes, "confirmed"), (no, "rejected")):
            match_id = db.session.scalars(select(Match.public_id).where(Match.face_id == face_id)).one()
            with unit_of_work():
                matching.give_verdict(user, match_id, verdict)
        usual = found(known)
        rows = dict(db.session.execute(select(Match.face_id, Match.public_id)).all())
    assert switch(app, event_id, many=True) == 1
    world.work()
    with app.app_context():
        now = {match.face_id: match for match in db.session.scalars(select(Match))}
        assert {key: now[key].verdict for key in (yes, no)} == {yes: Verdict.CONFIRMED, no: Verdict.REJECTED}
        assert {match.band for match in now.values()} <= {Band.MAYBE, Band.NONE}
        assert near in now and nearer in now and not set(far) & now.keys()
        assert all(rows[key] == match.public_id for key, match in now.items()), "matches that stay are the same rows"
        assert db.session.get_one(Person, known).expansion is None, "nothing unconfirmed leads the search"
        report = rematches.of_event(event_of(event_id)).report
        assert report is not None and report.trigger is RematchTrigger.CHILDREN
        assert report.people == 1 and report.removed >= 2 and report.changed >= 2 and report.added == 0
    page = text(Browser(app).sign_in(OWNER, PASSWORD).get(f"/studio/events/{event_id}"))
    assert "the answer about children had changed" in page
    assert switch(app, event_id, many=False) == 1
    world.work()
    with app.app_context():
        assert {match.face_id: match.band.value for match in db.session.scalars(select(Match))} == usual


# --- races ---


def test_from_the_switch_on_nothing_is_sure_whatever_is_still_computed(
    app: Flask, world: World, event_id: str, guest: Api
) -> None:
    world.work()
    assert len(guest.photo_ids()) == 3
    switch(app, event_id, many=True)
    assert ways_in(app, guest) == [] and len(asked(guest)) == 3, "before any worker has come to it"
    world.work()
    switch(app, event_id, many=False)
    assert ways_in(app, guest) == [] and len(asked(guest)) == 3, "and back: what is sure is said by the search alone"
    world.work()
    assert len(guest.photo_ids()) == 3 and asked(guest) == []


@pytest.mark.parametrize("marked_first", [False, True], ids=["stored before the rematch starts", "after it"])
def test_a_search_by_the_thresholds_of_before_ends_by_those_of_now(
    app: Flask, world: World, event_id: str, guest: Api, marked_first: bool
) -> None:
    world.work()
    for many in (True, False):
        with app.app_context():
            with unit_of_work():
                person = db.session.scalars(select(Person).join(Match).distinct()).one()
                rematch_requests.mark([person.id])
                public_id = person.public_id
            token = claims.claim(Person, public_id, Person.match_wanted != Person.match_done)
            assert token is not None
            with reading():
                person = db.session.scalars(select(Person).where(Person.public_id == public_id)).one()
                person_id, answered = person.id, person.match_wanted
            outcome = searching.search(person_id, token)
        switch(app, event_id, many=many)
        with app.app_context():
            if marked_first:
                matching.rematch_event(event_id)
            matching._store(public_id, token, answered, outcome)
            if not marked_first:
                matching.rematch_event(event_id)
        if many:
            assert ways_in(app, guest) == []
        world.work()
        with app.app_context():
            assert {match.band for match in db.session.scalars(select(Match))} == {Band.MAYBE if many else Band.SURE}
            report = rematches.of_event(event_of(event_id)).report
            assert report is not None and (report.people, report.pending) == (1, 0)
    assert len(guest.photo_ids()) == 3


def test_photos_that_were_just_held_against_the_guests_look_again(
    app: Flask, world: World, event_id: str, guest: Api
) -> None:
    """Where a service keeps the faces, it is asked whom a new photo shows before the photo's own transaction."""
    world.work()
    with app.app_context():
        event = event_of(event_id)
        key, revision = event.id, event.templates_revision
    switch(app, event_id, many=True)
    with app.app_context():
        assert hosted_search.changed_since(key, revision) == set()
        matching.rematch_event(event_id)
        assert hosted_search.changed_since(key, revision) == set(db.session.scalars(select(Match.person_id)))


def test_a_sure_match_that_lies_there_opens_nothing(app: Flask, world: World, event_id: str, guest: Api) -> None:
    switch(app, event_id, many=True)
    world.work()
    with app.app_context():
        db.session.execute(update(Match).values(band=Band.SURE))
        db.session.commit()
    assert ways_in(app, guest) == [] and len(asked(guest)) == 3
