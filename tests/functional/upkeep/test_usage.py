"""Costs: every billable call is counted, a limit stops an event, and raising it lets everything go on."""

import io
import json
from datetime import date
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import func, select
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import HTMX, Browser, error_at, text, value_of
from tests.support.concurrency import at_once
from tests.support.settings import make_settings
from webapp import create_app
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import LimitReached
from webapp.models import (
    AuditEntry,
    EngineUsage,
    Event,
    Membership,
    MembershipRole,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieStatus,
    User,
    UserRole,
)
from webapp.queueing import MAINTENANCE, PHOTOS, SELFIES, enqueued_ids, unit_of_work
from webapp.reasons import SENTENCES
from webapp.services.core import usage_meter
from webapp.services.upkeep import usage
from webapp.settings import Settings

pytestmark = pytest.mark.both_databases

LIMIT_SENTENCE = str(SENTENCES["call_limit"])
BAD_LIMITS = ["-1", "many", "1.5", "1,000", "1e3", "٣", "0x10", "1_000", str(10**9 + 1), "9" * 30]


@pytest.fixture
def event_id(app: Flask, world: World) -> str:
    """An event of the engine that costs something."""
    event_id = world.event()
    change(app, event_id, engine="rekognition")
    return event_id


@pytest.fixture
def owner(app: Flask, event_id: str) -> Browser:
    return Browser(app).sign_in("photographer@example.com", PASSWORD)


@pytest.fixture
def admin(app: Flask, world: World) -> Browser:
    world.person("admin@example.com", UserRole.ADMIN)
    return Browser(app).sign_in("admin@example.com", PASSWORD)


def picture(shade: int) -> bytes:
    """A JPEG that nobody looks into here."""
    target = io.BytesIO()
    Image.new("L", (64, 64), shade).save(target, "JPEG")
    return target.getvalue()


def change(app: Flask, event_id: str, **values: Any) -> None:
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        for name, value in values.items():
            setattr(event, name, value)


def spend(app: Flask, event_id: str, calls: int, operation: str = "IndexFaces", day: date = date(2026, 6, 20)) -> None:
    """Put calls into the books."""
    with app.app_context(), unit_of_work():
        db.session.add(EngineUsage(event_public_id=event_id, day=day, operation=operation, calls=calls))


def allowed(app: Flask, event_id: str) -> bool:
    with app.app_context():
        try:
            usage_meter.CostMeter().allow(event_id, "SearchFaces")
        except LimitReached:
            return False
        return True


def join(app: Flask, event_id: str, email: str, role: MembershipRole) -> None:
    """Give an account a place in the event."""
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        user = db.session.scalars(select(User).where(User.email == email)).one()
        db.session.add(Membership(event_id=event.id, user_id=user.id, role=role))


def save(browser: Browser, event_id: str, limit: str, room: str = "studio") -> TestResponse:
    return browser.submit(f"/{room}/events/{event_id}/limit", {"limit": limit})


# --- counting ---


def test_eight_threads_count_exactly(app: Flask, event_id: str) -> None:
    with app.app_context():
        meter = usage_meter.CostMeter()

    def count() -> None:
        for _ in range(25):
            meter.count(event_id, "IndexFaces")
            meter.count(event_id, "SearchFacesByImage", calls=3)

    at_once(*[count] * 8)
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        assert usage.of_event(event).calls == {"SearchFacesByImage": 600, "IndexFaces": 200}
        assert db.session.scalar(select(func.count()).select_from(EngineUsage)) == 2, "one row a day and operation"


def test_a_call_is_on_the_bill_whatever_becomes_of_its_work(app: Flask, event_id: str) -> None:
    with app.app_context():
        meter = usage_meter.CostMeter()
        with reading():
            event = db.session.scalars(select(Event)).one()
            meter.count(event_id, "IndexFaces")
            assert event.name == "Party", "what the session has read stays read"
        assert usage.of_event(event).total == 1


def test_books_that_cannot_be_written_do_not_stop_the_work(app: Flask, event_id: str) -> None:
    with app.app_context(), capture_logs() as log:
        meter = usage_meter.CostMeter()
        with unit_of_work():
            db.session.scalars(select(Event)).one().place = "Town hall"
            db.session.flush()
            meter.count(event_id, "IndexFaces")
        assert db.session.scalars(select(Event)).one().place == "Town hall"
        EngineUsage.__table__.drop(db.engine)
        meter.count(event_id, "IndexFaces")
    lines = [(line["event"], line["log_level"], line["calls"]) for line in log]
    assert lines == [("costs.not_counted", "error", 1)] * 2


def test_dollars_are_calls_by_list_price(app: Flask, event_id: str, settings: Settings) -> None:
    spend(app, event_id, 1000)
    spend(app, event_id, 240, "SearchFaces")
    dear = create_app(settings.model_copy(update={"rekognition_price_per_1000": 2.5}))
    for one, dollars in ((app, 1.24), (dear, 3.1)):
        with one.app_context():
            assert usage.of_event(db.session.scalars(select(Event)).one()).dollars == dollars
    with dear.app_context():
        db.session.remove()
        db.engine.dispose()


# --- the limit ---


def test_the_limit_stops_at_the_last_call_and_zero_is_none(app: Flask, event_id: str) -> None:
    change(app, event_id, call_limit=3)
    spend(app, event_id, 2)
    assert allowed(app, event_id)
    spend(app, event_id, 1, "SearchFaces")
    assert not allowed(app, event_id)
    change(app, event_id, call_limit=4)
    assert allowed(app, event_id)
    change(app, event_id, call_limit=0)
    spend(app, event_id, 10**6, "SearchUsersByImage")
    assert allowed(app, event_id)


def test_other_events_go_on(app: Flask, event_id: str, world: World) -> None:
    other = world.event("OTHER234", owner="rival@example.com")
    change(app, event_id, call_limit=1)
    spend(app, event_id, 5)
    assert not allowed(app, event_id) and allowed(app, other)


def test_an_event_without_a_limit_has_the_installation_s(
    app: Flask, event_id: str, settings: Settings, redis_url: str
) -> None:
    changes = {"event_call_limit": 10, "database_url": settings.database_url}
    limited = create_app(make_settings(settings.data_dir, redis_url, **changes))
    spend(app, event_id, 10)
    assert allowed(app, event_id) and not allowed(limited, event_id)
    for own, may in ((11, True), (0, True), (10, False)):
        change(app, event_id, call_limit=own)
        assert allowed(limited, event_id) is may, own
    with limited.app_context():
        event = db.session.scalars(select(Event)).one()
        found = usage.of_event(event)
        assert (found.limit, found.left, found.reached) == (10, 0, True)
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def stopped(app: Flask, event_id: str, world: World, api: Api) -> dict[str, str]:
    """Photos, a selfie and a person that the limit stopped, and others that failed for reasons of their own."""
    world.add_photos(event_id, *[(f"{shade}.jpg", picture(shade)) for shade in (10, 20, 30)])
    for name in ("ada", "bob"):
        assert api.register(world.code, name).upload_selfie(picture(128)).status_code == 200
    change(app, event_id, call_limit=5)
    spend(app, event_id, 5)
    with app.app_context(), unit_of_work():
        photos = db.session.scalars(select(Photo).order_by(Photo.id)).all()
        for photo, reason in zip(photos, ("call_limit", "call_limit", "crashed"), strict=True):
            photo.status, photo.failure_reason = PhotoStatus.FAILED, reason
        ada, bob = db.session.scalars(select(Selfie).order_by(Selfie.id)).all()
        ada.status, ada.reason = SelfieStatus.FAILED, "call_limit"
        bob.status, bob.person.match_failed, bob.person.match_failure = SelfieStatus.ACCEPTED, True, "call_limit"
        app.extensions["redis"].flushall()
        return {"ada": ada.public_id, "bob": bob.person.public_id, "photos": json.dumps([p.public_id for p in photos])}


def states(app: Flask) -> tuple[list[str], list[str], bool]:
    with app.app_context():
        photos = [f"{photo.status}" for photo in db.session.scalars(select(Photo).order_by(Photo.id))]
        selfies = [f"{row.status}" for row in db.session.scalars(select(Selfie).order_by(Selfie.id))]
        return photos, selfies, bool(db.session.scalar(select(Person.id).where(Person.match_failed.is_(True))))


STOPPED = (["failed", "failed", "failed"], ["failed", "accepted"], True)


def test_raising_the_limit_lets_what_it_stopped_go_on(
    app: Flask, event_id: str, owner: Browser, stopped: dict[str, str]
) -> None:
    answer = save(owner, event_id, "6")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/studio/events/{event_id}")
    assert "goes on by itself" in text(owner.get(answer.headers["Location"]))
    assert states(app) == (["uploaded", "uploaded", "failed"], ["received", "accepted"], False)
    first, second, crashed = json.loads(stopped["photos"])
    with app.app_context():
        assert enqueued_ids(PHOTOS) == {f"index_photo-{first}", f"index_photo-{second}"}
        assert enqueued_ids(SELFIES) == {f"match_selfie-{stopped['ada']}"}
        (waiting,) = enqueued_ids(MAINTENANCE)
        assert waiting.startswith(f"match_person-{stopped['bob']}-")
        assert crashed not in str(enqueued_ids(PHOTOS))
        line = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert line is not None and (line.action, line.object_id) == ("event.call_limit", event_id)
        assert line.actor_id == db.session.scalar(select(User.id).where(User.email == "photographer@example.com"))


@pytest.mark.parametrize("limit", ["4", "5"])
@pytest.mark.usefixtures("stopped")
def test_a_limit_that_is_used_up_already_lets_nothing_go_on(
    app: Flask, event_id: str, owner: Browser, limit: str
) -> None:
    answer = save(owner, event_id, limit)
    assert "used up already" in text(owner.get(answer.headers["Location"]))
    assert states(app) == STOPPED


@pytest.mark.usefixtures("stopped")
def test_taking_the_limit_away_lets_everything_go_on(app: Flask, event_id: str, owner: Browser) -> None:
    assert save(owner, event_id, " ").status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Event.call_limit)).one() is None
    assert states(app) != STOPPED


@pytest.mark.usefixtures("stopped")
def test_saving_the_same_limit_is_no_change(app: Flask, event_id: str, owner: Browser) -> None:
    for _ in range(2):
        assert save(owner, event_id, "50").status_code == 303
    with app.app_context():
        wanted = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "event.call_limit")
        assert db.session.scalar(wanted) == 1


# --- who sees and changes what ---


def test_an_owner_sees_and_changes_their_own_event_only(app: Flask, event_id: str, world: World, api: Api) -> None:
    world.event("OTHER234", owner="rival@example.com")
    world.person("admin@example.com", UserRole.ADMIN)
    spend(app, event_id, 7)
    path = f"/photographer/events/{event_id}"
    clients = {name: api.login(f"{name}@example.com") for name in ("photographer", "rival", "admin")}
    assert clients["photographer"].get(f"{path}/costs").json["total"] == 7
    for name in ("rival", "admin"):
        assert clients[name].get(f"{path}/costs").status_code == 404, name
        assert clients[name].call("PUT", f"{path}/call-limit", json={"limit": 9}).status_code == 404, name
    rival = Browser(app).sign_in("rival@example.com", PASSWORD)
    assert rival.get(f"/studio/events/{event_id}/limit").status_code == 404
    assert clients["rival"].get("/admin/costs").status_code == 404
    changed = clients["admin"].call("PUT", f"/admin/events/{event_id}/call-limit", json={"limit": 9})
    assert (changed.status_code, changed.json["limit"], changed.json["left"]) == (200, 9, 2)


def test_the_team_sees_the_costs_and_leaves_the_limit_to_the_owner(
    app: Flask, event_id: str, owner: Browser, world: World, api: Api
) -> None:
    world.person("second@example.com", UserRole.PHOTOGRAPHER)
    join(app, event_id, "second@example.com", MembershipRole.TEAM)
    spend(app, event_id, 7)
    change(app, event_id, call_limit=7)
    second, page = Browser(app).sign_in("second@example.com", PASSWORD), f"/studio/events/{event_id}"
    seen = text(second.get(page))
    assert "7 calls to Amazon Rekognition" in seen and "The owner of the event can raise it." in seen
    assert 'name="limit"' not in seen and f'href="{page}/limit"' not in seen
    assert 'name="limit"' in text(owner.get(page)) and f'href="{page}/limit"' in text(owner.get(page))
    assert second.get(f"{page}/limit").status_code == 403
    refused = second.client.post(f"{page}/limit", data={"csrf_token": second.token(page), "limit": "9"})
    assert refused.status_code == 403
    client = api.login("second@example.com")
    answer = client.call("PUT", f"/photographer/events/{event_id}/call-limit", json={"limit": 9})
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    with app.app_context():
        assert db.session.scalars(select(Event.call_limit)).one() == 7


# --- what people see ---


def test_an_event_that_costs_nothing_says_nothing_of_costs(app: Flask, world: World, admin: Browser) -> None:
    event_id = world.event()
    browser = Browser(app).sign_in("photographer@example.com", PASSWORD)
    page = text(browser.get(f"/studio/events/{event_id}"))
    assert "Rekognition" not in page and 'id="costs"' not in page and "$" not in page
    assert 'id="bill"' not in admin.get("/admin/").text


def test_the_event_s_page_tells_calls_dollars_and_limit_and_moves(app: Flask, event_id: str, owner: Browser) -> None:
    page = f"/studio/events/{event_id}"
    spend(app, event_id, 1240)
    seen = text(owner.get(page))
    assert "about $1.24" in seen and "1,240 calls to Amazon Rekognition, by list price" in seen
    assert "There is no limit." in seen and 'id="limit-notice"' not in seen
    change(app, event_id, call_limit=2000)
    seen = text(owner.get(page))
    assert "760 of 2,000 calls left" in seen and value_of(owner.get(page), "limit") == "2000"
    version = seen.partition("live?v=")[2].partition("&")[0].partition('"')[0]
    assert owner.get(f"{page}/live?v={version}", headers=HTMX).status_code == 204
    spend(app, event_id, 1000, "SearchFaces")
    moved = owner.get(f"{page}/live?v={version}", headers=HTMX)
    assert moved.status_code == 200
    assert "The limit of 2,000 calls is reached." in text(moved) and 'id="limit-notice"' in moved.text
    assert "Nothing is lost" in text(moved) and 'name="limit"' not in moved.text, "the form is not swapped"


def test_a_single_call_does_not_look_free(app: Flask, event_id: str, owner: Browser) -> None:
    spend(app, event_id, 1)
    seen = text(owner.get(f"/studio/events/{event_id}"))
    assert "about $0.01" in seen and "1 call to Amazon Rekognition" in seen


@pytest.mark.parametrize("limit", BAD_LIMITS)
def test_a_bad_limit_is_said_beside_the_field_and_stays_there(
    app: Flask, event_id: str, owner: Browser, limit: str
) -> None:
    answer = save(owner, event_id, limit)
    assert answer.status_code == 422
    assert error_at(answer, "limit") == str(SENTENCES["call_limit_invalid"])
    assert value_of(answer, "limit") == limit
    with app.app_context():
        assert db.session.scalars(select(Event.call_limit)).one() is None


@pytest.mark.parametrize(("typed", "kept"), [("10 000", 10_000), (" 7 ", 7), ("0", 0), ("1000000000", 10**9)])
def test_a_good_limit_is_taken_as_people_type_it(
    app: Flask, event_id: str, owner: Browser, typed: str, kept: int
) -> None:
    assert save(owner, event_id, typed).status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Event.call_limit)).one() == kept


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"limit": -1}, "call_limit_invalid"),
        ({"limit": 10**30}, "call_limit_invalid"),
        ({"limit": 10**9 + 1}, "call_limit_invalid"),
        ({"limit": "many"}, "field_invalid"),
        ({"limit": 1.5}, "field_invalid"),
        ({"limit": True}, "field_invalid"),
        ({"limit": [1]}, "field_invalid"),
        ({}, "field_missing"),
    ],
)
def test_a_bad_limit_is_refused_by_the_api(app: Flask, event_id: str, api: Api, body: Any, code: str) -> None:
    client = api.login("photographer@example.com")
    answer = client.call("PUT", f"/photographer/events/{event_id}/call-limit", json=body)
    assert (answer.status_code, answer.json["fields"]) == (422, {"limit": str(SENTENCES[code])})
    with app.app_context():
        assert db.session.scalars(select(Event.call_limit)).one() is None


def test_guests_are_told_that_the_limit_holds_them_up(app: Flask, stopped: dict[str, str], api: Api) -> None:
    for name in ("ada", "bob"):
        guest = Browser(app).sign_in(name, PASSWORD)
        page = text(guest.get("/e/PARTY234/photos"))
        assert LIMIT_SENTENCE in page, name
        assert "We can't use this selfie" not in page and "Search again" not in page, name
        status = api.login(name).get("/rematch-status").json
        assert (status["status"], status["reason"], status["detail"]) == ("failed", "call_limit", LIMIT_SENTENCE), name


def test_the_photographer_sees_whom_and_what_the_limit_holds_up(
    event_id: str, owner: Browser, stopped: dict[str, str]
) -> None:
    page = text(owner.get(f"/studio/events/{event_id}"))
    guests = page.partition('id="people"')[2].partition("</ul>")[0]
    assert guests.count("Limit reached") == 2, "ada's selfie and bob's search"
    for photo, held in zip(json.loads(stopped["photos"]), (True, True, False), strict=True):
        tile = page.partition(f'id="tile-{photo}"')[2].partition("</li>")[0]
        assert ("Limit reached" in tile) is held
        assert (f"/media/photos/{photo}/thumbnail" in tile) is held


def test_the_photographer_is_told_of_a_capped_search(
    app: Flask, event_id: str, owner: Browser, world: World, api: Api
) -> None:
    api.register(world.code, "ada")
    page, word = f"/studio/events/{event_id}", "More than 4,096 faces resemble this guest"
    before = text(owner.get(page))
    assert word not in before
    version = before.partition("live?v=")[2].partition("&")[0].partition('"')[0]
    with app.app_context(), unit_of_work():
        db.session.scalars(select(Person).where(Person.name == "ada")).one().match_capped = True
    live = owner.get(f"{page}/live?v={version}", headers=HTMX)
    assert live.status_code == 200 and word in text(live)


def test_admins_see_all_events_also_those_that_are_gone(
    app: Flask, event_id: str, world: World, admin: Browser, api: Api
) -> None:
    local = world.event("LOCAL234", owner="local@example.com")
    other = world.event("OTHER234", owner="rival@example.com")
    change(app, other, engine="rekognition", name="Gala", call_limit=500)
    spend(app, event_id, 1200, day=date(2026, 6, 30))
    spend(app, event_id, 40, "SearchFaces", day=date(2026, 7, 1))
    spend(app, other, 500, day=date(2026, 7, 31))
    spend(app, "gone", 60, day=date(2026, 7, 2))
    bill = api.login("admin@example.com").get("/admin/costs").json
    assert (bill["total"], bill["dollars"]) == (1800, 1.8)
    assert bill["months"] == [
        {"month": "2026-07", "calls": 600, "dollars": 0.6},
        {"month": "2026-06", "calls": 1200, "dollars": 1.2},
    ]
    rows = {row["event_id"]: row for row in bill["events"]}
    assert list(rows) == [event_id, other, "gone"] and local not in rows
    assert rows[event_id]["calls"] == {"IndexFaces": 1200, "SearchFaces": 40}
    assert (rows[other]["name"], rows[other]["left"], rows[other]["reached"]) == ("Gala", 0, True)
    assert (rows["gone"]["name"], rows["gone"]["engine"], rows["gone"]["total"]) == (None, None, 60)
    page = text(admin.get("/admin/"))
    assert "about $1.80" in page and "1,800 calls to Amazon Rekognition" in page
    assert "Deleted event" in page and "July 2026" in page and "600 calls, about $0.60" in page


def test_an_admin_changes_the_limit_of_any_event(app: Flask, event_id: str, admin: Browser) -> None:
    answer = save(admin, event_id, "800", room="admin")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
    assert f"/admin/events/{event_id}/limit" in text(admin.get("/admin/"))
    refused = save(admin, event_id, "lots", room="admin")
    assert refused.status_code == 422 and 'href="/admin/"' in refused.text
    with app.app_context():
        assert db.session.scalars(select(Event.call_limit)).one() == 800
