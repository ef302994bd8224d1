"""Joining with a code that fell into other hands.

An attacker could find a poster, or a link that was passed on, weeks after an event, join it with the selfie of somebody
else, and see the photos of that person.

What must hold: joining ends by itself some days after the event. At an event whose photographer admits guests, nothing
looks for a face in a selfie before the photographer has said yes, by none of the ways in, and no photo is shown;
whoever is refused leaves no selfie behind. None of this costs an honest guest anything that they handed in, nor ends
uploads.
"""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, demo_photos, photos_with, selfie
from tests.support.browsing import HTMX, Browser, error_at, text
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Admission,
    AuditEntry,
    Event,
    Match,
    Membership,
    Person,
    Photo,
    Selfie,
    SelfieStatus,
    SelfieVector,
)
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.core import blobs, consents
from webapp.services.events import join_period, team
from webapp.services.joining import admission
from webapp.services.recovery import sweeper

OWNER = "photographer@example.com"


@pytest.fixture
def admitting(app: Flask, world: World) -> str:
    """An event whose photographer admits guests, with photos of somebody; returns its public id."""
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3))
    world.work()
    set_joining(app, event_id, admits="y", join_days="14")
    return event_id


def set_joining(app: Flask, event_id: str, **form: str) -> None:
    page = f"/studio/events/{event_id}/settings"
    saved = Browser(app).sign_in(OWNER, PASSWORD).submit(f"{page}/joining", dict(form), page=page)
    assert saved.status_code == 303, text(saved)


def answer(app: Flask, event_id: str, path: str) -> str:
    """The photographer presses a button of the overview; returns the page that follows."""
    owner, page = Browser(app).sign_in(OWNER, PASSWORD), f"/studio/events/{event_id}"
    assert owner.submit(f"{page}/guests/{path}", page=page).status_code == 303
    return text(owner.get(page))


def person_of(app: Flask, name: str) -> str:
    with app.app_context():
        return db.session.scalars(select(Person.public_id).where(Person.name == name)).one()


def rows(app: Flask, model: type[Any]) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(model)))


def join_by_page(app: Flask, world: World) -> None:
    form = {"name": "ada", "email": "ada@example.com", "consent": "y", "consent_version": consents.CONSENT_VERSION}
    form |= {"file": (io.BytesIO(selfie("grace")), "me.jpg")}
    assert Browser(app).submit(f"/e/{world.code}", form).status_code == 303


def join_by_code(app: Flask, world: World) -> None:
    assert Api(app).register(world.code).upload_selfie(selfie("grace")).status_code == 200


def join_with_selfie(app: Flask, world: World) -> None:
    form = {"username": "ada", "email": "ada@example.com", "password": PASSWORD, "event_code": world.code}
    form |= {"consent": "true", "file": (io.BytesIO(selfie("grace")), "me.jpg")}
    made = Api(app).post("/register-invite-with-selfie", data=form)
    assert made.status_code == 201, made.text


def join_again(app: Flask, world: World) -> None:
    world.event("EARLIER2", owner="rival@example.com")
    guest = Api(app).register("EARLIER2")
    guest.upload_selfie(selfie("grace"))
    world.work()
    joined = guest.post("/join-event", json={"event_code": world.code, "consent": True})
    assert joined.status_code == 200, joined.text
    assert joined.json["selfie"] == {"status": "received"}  # type: ignore[index]


WAYS = [join_by_page, join_by_code, join_with_selfie, join_again]


@pytest.mark.parametrize("join", WAYS)
def test_nobody_is_searched_for_before_they_are_admitted(
    app: Flask, world: World, admitting: str, join: Callable[[Flask, World], None]
) -> None:
    join(app, world)
    world.work()
    with app.app_context():
        sweeper.sweep()
    world.work()
    with app.app_context():
        here = select(Selfie).join(Person).join(Event).where(Event.public_id == admitting)
        (kept,) = db.session.scalars(here).all()
        assert kept.status is SelfieStatus.RECEIVED and blobs.exists(kept.blob_key), "nothing handed in is lost"
        assert db.session.scalar(select(Match.id)) is None
        assert db.session.scalar(select(SelfieVector.id).where(SelfieVector.selfie_id == kept.id)) is None


def test_who_waits_is_told_so_and_sees_nothing(app: Flask, world: World, api: Api, admitting: str) -> None:
    guest = api.register(world.code)
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(shown_to_all=True))
        photo_id = db.session.scalars(select(Photo.public_id)).first()
    assert guest.get("/rematch-status").json["status"] == "idle", "there is no selfie yet"
    guest.upload_selfie(selfie("grace"))
    status = guest.get("/rematch-status").json
    assert (status["status"], status["reason"], status["matches"]) == ("waiting", "admission_waiting", 0)
    for path in ("/my-photos", "/my-photos?band=maybe", "/all-photos"):
        assert guest.get(path).json == [], path
    assert guest.get(f"/photo/{photo_id}").status_code == 404
    browser = Browser(app).sign_in("ada", PASSWORD)
    for path, headers in ((f"/e/{world.code}/photos", {}), (f"/e/{world.code}/photos/live", HTMX)):
        page = text(browser.get(path, headers=headers))
        assert "Waiting for the photographer to admit you" in page, path
        assert "Checking your selfie" not in page
    assert browser.get(f"/media/photos/{photo_id}/preview").status_code == 404


def test_the_photographer_sees_who_waits_and_lets_them_in(app: Flask, world: World, api: Api, admitting: str) -> None:
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    overview = text(owner.get(f"/studio/events/{admitting}"))
    (handed_in,) = rows(app, Selfie)
    assert "1 guest waits to be admitted" in overview
    assert f"/media/selfies/{handed_in.public_id}" in overview
    world.work()
    picture = owner.get(f"/media/selfies/{handed_in.public_id}")
    assert picture.status_code == 200 and max(Image.open(io.BytesIO(picture.data)).size) == 480
    listed = text(owner.get(f"/studio/events/{admitting}/guests?show=admission"))
    assert "ada" in listed and "Waiting to be admitted" in listed
    after = answer(app, admitting, f"{person_of(app, 'ada')}/admit")
    assert "ada is admitted" in after and "waits to be admitted" not in after
    world.work()
    assert guest.get("/rematch-status").json["status"] == "done"
    assert len(guest.photo_ids()) == 3


def test_the_photographer_sees_every_face_that_would_be_searched_for(
    app: Flask, world: World, api: Api, admitting: str
) -> None:
    """A stranger's portrait first, a selfie of oneself after it: both are searched for once the guest is let in."""
    guest = api.register(world.code)
    guest.upload_selfie(selfie("eileen"), source="file")
    guest.upload_selfie(selfie("grace"), source="camera", add="true")
    handed_in = [row.public_id for row in rows(app, Selfie)]
    assert len(handed_in) == 2
    owner, base = Browser(app).sign_in(OWNER, PASSWORD), f"/studio/events/{admitting}"
    for path in (base, f"{base}/guests?show=admission", f"{base}/guests/{person_of(app, 'ada')}"):
        page = text(owner.get(path))
        assert all(f"/media/selfies/{selfie_id}" in page for selfie_id in handed_in), path
        assert "from a file" in page, path


def test_who_is_refused_leaves_nothing_behind_and_hands_nothing_in(
    app: Flask, world: World, api: Api, admitting: str
) -> None:
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    (handed_in,) = rows(app, Selfie)
    assert "is not admitted" in answer(app, admitting, f"{person_of(app, 'ada')}/refuse")
    world.work()
    with app.app_context():
        assert not blobs.exists(handed_in.blob_key)
    assert rows(app, Selfie) == [] and rows(app, Match) == []
    again = guest.upload_selfie(selfie("grace"), consent="true")
    assert (again.status_code, again.json["code"]) == (409, "not_admitted")
    assert guest.get("/rematch-status").json["status"] == "not_admitted"
    browser = Browser(app).sign_in("ada", PASSWORD)
    assert "has not admitted you" in text(browser.get(f"/e/{world.code}/photos"))
    assert browser.get(f"/e/{world.code}/selfie").headers["Location"] == f"/e/{world.code}/photos"
    assert guest.post("/join-event", json={"event_code": world.code, "consent": True}).status_code == 200
    assert rows(app, Selfie) == [], "joining again is no way around it"
    answer_page = answer(app, admitting, f"{person_of(app, 'ada')}/admit")
    assert "ada is admitted" in answer_page
    assert guest.upload_selfie(selfie("grace"), consent="true").status_code == 200
    world.work()
    assert len(guest.photo_ids()) == 3


def test_a_selfie_that_comes_with_the_refusal_is_erased_or_not_taken(app: Flask, world: World, admitting: str) -> None:
    guest = Api(app).register(world.code)
    person_id = person_of(app, "ada")

    def refuse() -> None:
        answer(app, admitting, f"{person_id}/refuse")

    with ThreadPoolExecutor(5) as pool:
        sent = [pool.submit(guest.upload_selfie, selfie("grace")) for _ in range(4)]
        pool.submit(refuse).result()
        assert {call.result().status_code for call in sent} <= {200, 409}
    world.work()
    assert rows(app, Selfie) == []


def test_all_are_admitted_by_one_press_or_when_nobody_is_asked_any_more(
    app: Flask, world: World, api: Api, admitting: str
) -> None:
    first, second = api.register(world.code, "first"), api.register(world.code, "second")
    for guest in (first, second):
        guest.upload_selfie(selfie("grace"))
    assert "2 guests are admitted." in answer(app, admitting, "admit-all")
    third = api.register(world.code, "third")
    third.upload_selfie(selfie("grace"))
    set_joining(app, admitting, admits="", join_days="14")
    world.work()
    assert [len(guest.photo_ids()) for guest in (first, second, third)] == [3, 3, 3]


def test_an_admitted_guest_is_not_refused_and_other_events_are_out_of_reach(
    app: Flask, world: World, api: Api, admitting: str
) -> None:
    api.register(world.code).upload_selfie(selfie("grace"))
    person_id = person_of(app, "ada")
    rival_event = world.event("OTHER234", owner="rival@example.com")
    rival = Browser(app).sign_in("rival@example.com", PASSWORD)
    for event_id in (rival_event, admitting):
        path = f"/studio/events/{event_id}/guests/{person_id}/admit"
        assert rival.submit(path, page="/studio/").status_code == 404
    answer(app, admitting, f"{person_id}/admit")
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    refused = owner.submit(f"/studio/events/{admitting}/guests/{person_id}/refuse", page="/studio/")
    assert refused.status_code == 409
    world.work()
    assert len(rows(app, Selfie)) == 1


def test_the_team_is_always_admitted(app: Flask, world: World, api: Api, admitting: str) -> None:
    guest = api.login(world.person("second@example.com"))
    guest.post("/join-event", json={"event_code": world.code, "consent": True})
    guest.upload_selfie(selfie("grace"))
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == admitting)).one()
        user = accounts.verified_user("second@example.com")
        assert user is not None and team.add(event, user, None)
    world.work()
    with app.app_context():
        assert {row.admission for row in db.session.scalars(select(Membership))} == {Admission.ADMITTED}
    assert rows(app, Selfie)[0].status is SelfieStatus.ACCEPTED
    assert len(rows(app, Match)) >= 3


def test_who_let_in_whom_is_written_down(app: Flask, world: World, api: Api, admitting: str) -> None:
    api.register(world.code)
    answer(app, admitting, f"{person_of(app, 'ada')}/refuse")
    answer(app, admitting, f"{person_of(app, 'ada')}/admit")
    actions = [row.action for row in rows(app, AuditEntry)]
    assert "guest.refused" in actions and "guest.admitted" in actions


# --- the end of joining ---


def age(app: Flask, event_id: str, days: int) -> None:
    """Move the event, and the day on which it was made, into the past."""
    with app.app_context(), unit_of_work():
        then = utcnow() - timedelta(days=days)
        db.session.execute(
            update(Event).where(Event.public_id == event_id).values(date=then.date(), created_at=then, timezone="UTC")
        )


def join_statuses(app: Flask, world: World, name: str) -> list[tuple[int, str]]:
    """Try every way into the event; returns what each answered."""
    data = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    form = {**data, "event_code": world.code, "consent": "true", "file": (io.BytesIO(selfie("grace")), "me.jpg")}
    known = Api(app).login(world.person(f"{name}-known@example.com"))
    answers = [
        Api(app).post("/register-with-event-code", json={"user_data": data, "event_code": world.code, "consent": True}),
        Api(app).post("/register-invite-with-selfie", data=form),
        known.post("/join-event", json={"event_code": world.code, "consent": True}),
    ]
    return [(answer.status_code, answer.json["code"]) for answer in answers]  # type: ignore[index]


def test_no_way_leads_in_after_the_last_day(app: Flask, world: World) -> None:
    event_id = world.event()
    age(app, event_id, 15)
    assert join_statuses(app, world, "late") == [(409, "joins_over")] * 3
    browser = Browser(app)
    landing = browser.get(f"/e/{world.code}")
    assert "Joining has ended" in text(landing) and 'type="file"' not in landing.text
    known = Browser(app).sign_in(world.person("known@example.com"), PASSWORD)
    agreed = {"consent": "y", "consent_version": consents.CONSENT_VERSION}
    for somebody in (browser, known):
        picture = (io.BytesIO(selfie("grace")), "me.jpg")
        form = {"name": "late", "email": "late@example.com", "file": picture, **agreed}
        refused = somebody.submit(f"/e/{world.code}", form, page="/")
        assert refused.status_code == 422 and "Joining has ended" in text(refused)
    with app.app_context():
        assert [row.role.value for row in db.session.scalars(select(Membership))] == ["owner"]
    assert rows(app, Selfie) == []


def test_members_and_uploads_go_on(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    guest = api.register(world.code)
    age(app, event_id, 100)
    assert guest.upload_selfie(selfie("grace")).status_code == 200
    assert guest.post("/join-event", json={"event_code": world.code, "consent": True}).status_code == 200
    owner = api.login(OWNER)
    assert owner.upload_photos(event_id, *photos_with("grace", 1)).json["files"][0]["status"] == "accepted"
    world.work()
    assert len(api.login("ada").photo_ids()) == 1
    assert "Joining ended on" in text(Browser(app).sign_in(OWNER, PASSWORD).get(f"/studio/events/{event_id}"))


def test_the_photographer_sets_the_end_and_lets_people_in_again(app: Flask, world: World) -> None:
    event_id = world.event()
    age(app, event_id, 15)
    set_joining(app, event_id, admits="", join_days="")
    Api(app).register(world.code, "first")
    set_joining(app, event_id, admits="", join_days="15")
    Api(app).register(world.code, "second")
    set_joining(app, event_id, admits="", join_days="3")
    assert join_statuses(app, world, "third") == [(409, "joins_over")] * 3


@pytest.mark.parametrize("days", ["-1", "3651", "many", "1.5", "٣", "99999"])
def test_what_is_no_number_of_days_is_refused(app: Flask, world: World, days: str) -> None:
    page = f"/studio/events/{world.event()}/settings"
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    refused = owner.submit(f"{page}/joining", {"admits": "", "join_days": days}, page=page)
    assert refused.status_code == 422 and "number of days" in error_at(refused, "join_days")


def test_the_whole_last_day_counts_in_the_timezone_of_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event(date=date(2026, 6, 20), timezone="Pacific/Auckland", join_days=14)
    event.created_at = datetime(2026, 6, 1, tzinfo=UTC)
    assert join_period.last_day(event) == date(2026, 7, 4)
    # Midnight in Auckland is noon of the day before in UTC.
    for moment, over in (
        (datetime(2026, 7, 4, 11, 59, tzinfo=UTC), False),
        (datetime(2026, 7, 4, 12, tzinfo=UTC), True),
    ):
        monkeypatch.setattr(join_period, "utcnow", lambda moment=moment: moment)
        assert join_period.is_over(event) is over


def test_an_event_that_is_made_after_its_date_can_be_joined(app: Flask, world: World) -> None:
    event_id = world.event()
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(date=date(1999, 12, 31)))
    Api(app).register(world.code)
    with app.app_context():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        assert join_period.last_day(event) == event.created_at.date() + timedelta(days=14)
        event.join_days = None
        assert join_period.last_day(event) is None and not join_period.is_over(event)
        event.date, event.join_days = date.max, 14
        assert join_period.last_day(event) is None, "a date beyond the calendar is no error"
        db.session.rollback()


def test_uploads_of_an_admitting_event_are_searched_for_the_admitted_alone(
    app: Flask, world: World, api: Api, admitting: str
) -> None:
    waiting, admitted = api.register(world.code, "waiting"), api.register(world.code, "admitted")
    for guest in (waiting, admitted):
        guest.upload_selfie(selfie("grace"))
    answer(app, admitting, f"{person_of(app, 'admitted')}/admit")
    world.work()
    world.add_photos(admitting, *demo_photos(4), *photos_with("grace", 5)[3:])
    world.work()
    assert len(admitted.photo_ids()) >= 4 and waiting.photo_ids() == []
    with app.app_context():
        found = db.session.scalars(select(Person.name).join(Match, Match.person_id == Person.id).distinct()).all()
        event = db.session.scalars(select(Event).where(Event.public_id == admitting)).one()
        listed, total = admission.waiting_of(event)
    assert found == ["admitted"]
    assert ([guest.name for guest in listed], total) == (["waiting"], 1)
