"""Searching for strangers: somebody hands in other people's selfies to see their photos.

An attacker could send one selfie after the other with one account; take consent back in between, so that nothing is
left to compare with; make a new account for each face, since accounts are free; or come after the event with portraits
from elsewhere. What must hold:

- One account hands in five selfies a day at most, whichever way they come and whatever was erased in between.
- The third face on one account and the fifth person on one device stop the search until the photographer has decided.
  While it is stopped the account sees none of what was found, by no page and no address.
- Nothing that the guest handed in is lost by being stopped, and honest guests are not stopped: neither those who take
  several selfies of themselves nor the hundreds behind a venue's Wi-Fi.
"""

import io
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from tests import faces
from tests.actors import PASSWORD, Api, World, photos_with, selfie
from tests.attacks.phones import VENUE, Phone
from tests.browsing import Browser, error_at, text
from tests.concurrency import at_once
from tests.crowd import event_of
from webapp.clock import utcnow
from webapp.extensions import db
from webapp.models import (
    AlertDecision,
    AlertKind,
    Consent,
    DeviceFaces,
    Match,
    Membership,
    MembershipRole,
    Person,
    Photo,
    SearchAlert,
    SearchAlertMember,
    Selfie,
    SelfieSource,
    SelfieStatus,
    UserRole,
)
from webapp.queueing import unit_of_work
from webapp.services import search_alerts, strangers

OWNER = "photographer@example.com"


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


@pytest.fixture
def owner(app: Flask, event_id: str) -> Browser:
    return Browser(app).sign_in(OWNER, PASSWORD)


@pytest.fixture
def guest(api: Api, world: World, event_id: str) -> Api:
    return api.register(world.code)


@pytest.fixture
def suspect(world: World, guest: Api, event_id: str) -> Api:
    """A guest who was found on photos as one person, and whose search was stopped by the third change of face."""
    world.add_photos(event_id, *photos_with("grace", 2), *photos_with("eileen", 2))
    for person in ("grace", "eileen", "grace"):
        hand_in(world, guest, selfie(person))
    return guest


def hand_in(world: World, guest: Api, picture: bytes, **form: str) -> None:
    answer = guest.upload_selfie(picture, **form)
    assert answer.status_code == 200, answer.text
    world.work()


def grey() -> bytes:
    """A picture without a face, which is refused at once by the worker."""
    file = io.BytesIO()
    Image.new("RGB", (800, 800), (120, 125, 130)).save(file, "JPEG")
    return file.getvalue()


def status(guest: Api) -> tuple[str, str | None]:
    answer = guest.get("/rematch-status").json
    return answer["status"], answer["reason"]  # type: ignore[index]


def alerts(app: Flask) -> list[tuple[AlertKind, str | None]]:
    with app.app_context():
        rows = db.session.scalars(select(SearchAlert).order_by(SearchAlert.id))
        return [(row.kind, row.decision) for row in rows]


def stopped(app: Flask) -> list[str]:
    """Names of the people whose search is stopped."""
    with app.app_context():
        wanted = select(Person.name).join(Membership).where(Membership.search_stopped_at.is_not(None))
        return sorted(db.session.scalars(wanted))


def decide(app: Flask, owner: Browser, event_id: str, decision: str) -> TestResponse:
    """Press a button of the alert that waits."""
    with app.app_context():
        alert = db.session.scalars(select(SearchAlert.public_id).order_by(SearchAlert.id.desc())).first()
    page = f"/studio/events/{event_id}/alerts"
    return owner.submit(f"{page}/{alert}", {"decision": decision}, page=page)


def photos_of(app: Flask, name: str = "ada") -> set[str]:
    """Photos that a worker has found for somebody, whether they are shown or not."""
    with app.app_context():
        wanted = select(Photo.public_id).join(Match, Match.photo_id == Photo.id).join(Person)
        return set(db.session.scalars(wanted.where(Person.name == name)))


# --- five selfies a day ---


def refused_as_enough(answer: TestResponse) -> bool:
    return (answer.status_code, (answer.json or {}).get("code")) == (429, "selfies_enough")


def test_the_sixth_selfie_of_a_day_is_not_taken(app: Flask, world: World, guest: Api) -> None:
    for number in range(5):
        assert guest.upload_selfie(grey(), add=str(number % 2 == 1)).status_code == 200
    assert refused_as_enough(guest.upload_selfie(grey()))
    assert refused_as_enough(guest.upload_selfie(grey(), add="true"))
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Selfie)) == 5
        # What was refused left no picture behind.
        assert len([key for key in app.extensions["blobs"].keys("events/") if "/selfies/" in key]) == 5


def test_the_selfie_of_the_registration_counts(app: Flask, world: World, event_id: str) -> None:
    phone = Phone(app)
    token = phone.join(world.code, "ada", grey())
    assert [phone.selfie(token, grey()).status_code for _ in range(5)] == [200, 200, 200, 200, 429]


def test_pages_and_the_api_share_one_count(app: Flask, world: World, guest: Api) -> None:
    for _ in range(4):
        guest.upload_selfie(grey())
    browser = Browser(app).sign_in("ada", PASSWORD)
    page = f"/e/{world.code}/selfie"

    def send() -> TestResponse:
        return browser.submit(page, {"file": (io.BytesIO(grey()), "me.jpg")})

    assert send().status_code == 303
    answer = send()
    assert answer.status_code == 422
    assert "Nothing else has changed" in error_at(answer, "file")
    assert refused_as_enough(guest.upload_selfie(grey()))


def test_taking_consent_back_gives_no_selfies_back(world: World, guest: Api) -> None:
    for _ in range(5):
        assert guest.upload_selfie(grey(), consent="true").status_code == 200
        assert guest.post("/consent", json={"granted": False}).status_code == 200
    assert refused_as_enough(guest.upload_selfie(grey(), consent="true"))


def test_erasing_the_selfies_gives_none_back(world: World, guest: Api) -> None:
    for _ in range(5):
        assert guest.upload_selfie(grey()).status_code == 200
        assert guest.delete("/my-selfie").status_code == 200
    assert refused_as_enough(guest.upload_selfie(grey()))


def test_joining_again_with_the_known_selfie_gives_none_back(world: World, guest: Api) -> None:
    hand_in(world, guest, selfie("grace"))
    world.event("OTHER234")
    body = {"event_code": "OTHER234", "consent": True}
    for _ in range(5):
        assert guest.post("/join-event", json=body).json["selfie"] == {"status": "received"}  # type: ignore[index]
        guest.delete("/my-selfie")
    assert refused_as_enough(guest.post("/join-event", json=body))


@pytest.mark.both_databases
def test_of_many_at_once_five_are_taken(guest: Api) -> None:
    answers = at_once(*[lambda: guest.upload_selfie(grey()).status_code for _ in range(9)])
    assert sorted(answers) == [200] * 5 + [429] * 4


def test_the_sixth_says_when_it_may_come(guest: Api) -> None:
    *_, sixth = [guest.upload_selfie(grey()) for _ in range(6)]
    assert refused_as_enough(sixth)
    assert 23 * 3600 < int(sixth.headers["Retry-After"]) <= 24 * 3600


def test_the_next_day_brings_five_more(app: Flask, guest: Api) -> None:
    for _ in range(5):
        guest.upload_selfie(grey())
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(selfies_counted_since=utcnow() - timedelta(hours=24)))
    assert [guest.upload_selfie(grey()).status_code for _ in range(6)] == [200] * 5 + [429]


def test_a_clock_that_was_wrong_locks_nobody_out(app: Flask, guest: Api) -> None:
    for _ in range(5):
        guest.upload_selfie(grey())
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(selfies_counted_since=utcnow() + timedelta(days=400)))
    assert guest.upload_selfie(grey()).status_code == 200


def test_the_photographer_can_allow_five_more(app: Flask, owner: Browser, event_id: str, guest: Api) -> None:
    for _ in range(5):
        guest.upload_selfie(grey())
    with app.app_context():
        person = db.session.scalars(select(Person.public_id).where(Person.name == "ada")).one()
    page = f"/studio/events/{event_id}/guests/{person}"
    assert "5 of 5 selfies handed in today" in text(owner.get(page))
    assert owner.submit(f"{page}/selfies", page=page).status_code == 303
    assert [guest.upload_selfie(grey()).status_code for _ in range(6)] == [200] * 5 + [429]


# --- several people on one account ---


def test_the_third_face_on_an_account_stops_its_search(app: Flask, suspect: Api) -> None:
    assert status(suspect) == ("stopped", "search_stopped")
    assert alerts(app) == [(AlertKind.ACCOUNT_FACES, None)]
    assert suspect.upload_selfie(selfie("grace")).json["code"] == "search_stopped"  # type: ignore[index]


@pytest.mark.faces
def test_of_25_peoples_selfies_at_most_two_are_searched(app: Flask, world: World, guest: Api) -> None:
    pictures = portraits(25)
    for picture in pictures:
        with app.app_context(), unit_of_work():  # Were there no limit a day, or did the attacker take a week over it.
            db.session.execute(update(Membership).values(selfies_counted=0))
        guest.upload_selfie(picture)
        world.work()
    with app.app_context():
        accepted = db.session.scalar(select(func.count()).where(Selfie.status == SelfieStatus.ACCEPTED))
        searched = db.session.scalar(select(Person.match_done).where(Person.name == "ada"))
    assert accepted == 3
    assert searched == 2
    assert status(guest)[0] == "stopped"


def portraits(count: int) -> list[bytes]:
    """Selfies of as many different people of the labelled set, each of which passes the check."""
    found: list[bytes] = []
    for folder in sorted((faces.faces_dir() / "people").iterdir()):
        picture = min(folder.iterdir())
        if faces.analyzer().check_selfie(faces.read_frame(picture)).face is not None:
            found.append(picture.read_bytes())
        if len(found) == count:
            break
    return found


@pytest.mark.faces
def test_selfies_of_one_person_never_stop_the_search(app: Flask, world: World, guest: Api) -> None:
    folder = next(
        folder for folder in sorted((faces.faces_dir() / "people").iterdir()) if len(list(folder.iterdir())) >= 8
    )
    for picture in sorted(folder.iterdir())[:8]:
        with app.app_context(), unit_of_work():
            db.session.execute(update(Membership).values(selfies_counted=0))
        hand_in(world, guest, picture.read_bytes())
    assert stopped(app) == []
    assert alerts(app) == []


def test_a_chain_of_morphs_does_not_go_on_for_ever(
    app: Flask, world: World, guest: Api, owner: Browser, event_id: str
) -> None:
    """Each selfie resembles the one that it replaces, so that none counts as another face."""
    seen = 0
    for picture in (selfie("grace"), morph(), selfie("eileen"), morph()) * 4:
        with app.app_context(), unit_of_work():
            db.session.execute(update(Membership).values(selfies_counted=0))
        hand_in(world, guest, picture)
        seen += 1
        if status(guest)[0] == "stopped":
            break
    assert stopped(app) == ["ada"], f"after {seen} selfies"
    assert counted(app) == (1, pytest.approx(strangers.DRIFT_OF_ACCOUNT, abs=0.5))
    assert alerts(app) == [(AlertKind.ACCOUNT_FACES, None)]
    decide(app, owner, event_id, "allowed")
    assert counted(app) == (1, 0.0), "as much leave as a new account has"


def test_the_same_selfie_again_and_again_does_not_drift(app: Flask, world: World, guest: Api) -> None:
    for _ in range(4):
        hand_in(world, guest, selfie("grace"))
    assert counted(app) == (1, pytest.approx(0, abs=0.01))


def counted(app: Flask) -> tuple[int, float]:
    """Faces and drift of the guest's account."""
    with app.app_context():
        wanted = select(Membership.faces_seen, Membership.faces_drift).join(Person).where(Person.name == "ada")
        faces_seen, drift = db.session.execute(wanted).one()
    return faces_seen, drift


@cache
def morph() -> bytes:
    """A picture between grace and eileen, which resembles both: anybody can make one of two portraits."""
    place = np.array([(0.39, 0.44), (0.61, 0.44), (0.5, 0.57), (0.41, 0.68), (0.59, 0.68)]) * 900
    warped = []
    for person in ("grace", "eileen"):
        image = Image.open(io.BytesIO(selfie(person))).convert("RGB")
        face = faces.analyzer().check_selfie(np.asarray(image)).face
        assert face is not None and face.landmarks is not None
        landmarks = np.array([(x * image.width, y * image.height) for x, y in face.landmarks])
        matrix, *_ = np.linalg.lstsq(np.hstack([place, np.ones((5, 1))]), landmarks, rcond=None)
        numbers = tuple(matrix.T.flatten())
        warped.append(image.transform((900, 900), Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.blend(*warped, 0.5).save(file, "JPEG", quality=92)
    return file.getvalue()


@pytest.mark.parametrize("way", ["withdraw", "erase"])
def test_erasing_in_between_hides_no_face(app: Flask, world: World, guest: Api, way: str) -> None:
    for _ in range(3):
        hand_in(world, guest, selfie("grace"), consent="true")
        if way == "withdraw":
            guest.post("/consent", json={"granted": False})
        else:
            guest.delete("/my-selfie")
    assert alerts(app) == [(AlertKind.ACCOUNT_FACES, None)]
    assert stopped(app) == ["ada"]


def test_a_further_angle_of_somebody_else_is_a_face_too(app: Flask, world: World, guest: Api) -> None:
    hand_in(world, guest, selfie("grace"))
    hand_in(world, guest, selfie("eileen"), add="true")
    assert stopped(app) == []
    hand_in(world, guest, selfie("grace"), add="true")  # Known by now.
    assert stopped(app) == []
    guest.delete("/my-selfie")
    hand_in(world, guest, selfie("grace"))
    assert stopped(app) == ["ada"]


def test_whoever_runs_the_event_is_not_stopped(app: Flask, world: World, event_id: str) -> None:
    owner = Api(app).login(OWNER)
    for person in ("grace", "eileen") * 4:
        hand_in(world, owner, selfie(person), consent="true")
    assert stopped(app) == []


def test_who_was_stopped_as_a_guest_and_joins_the_team_is_not(app: Flask, suspect: Api) -> None:
    with app.app_context(), unit_of_work():
        stopped_ones = Membership.search_stopped_at.is_not(None)
        db.session.execute(update(Membership).where(stopped_ones).values(role=MembershipRole.TEAM))
    assert suspect.upload_selfie(selfie("grace")).status_code == 200


# --- what a stopped account sees ---


def test_nothing_that_was_found_is_shown_while_the_search_is_stopped(
    app: Flask, world: World, suspect: Api, event_id: str
) -> None:
    photos = photos_of(app)
    assert photos
    with app.app_context():
        matches = db.session.scalars(select(Match.public_id)).all()
    browser = Browser(app).sign_in("ada", PASSWORD)
    assert suspect.photo_ids() == []
    assert suspect.get("/my-photos?band=maybe").json == []
    assert suspect.get("/rematch-status").json["matches"] == 0  # type: ignore[index]
    assert suspect.get("/user/event-expiration").json["photos"] == 0  # type: ignore[index]
    for photo in photos:
        for way in ("", "?size=thumbnail", "?size=original"):
            assert suspect.get(f"/photo/{photo}{way}").status_code == 404
        for path in (f"/e/{world.code}/photos/{photo}", f"/media/photos/{photo}/preview", f"/photos/{photo}/download"):
            assert browser.get(path).status_code == 404, path
    for match in matches:
        assert browser.get(f"/media/crops/{match}").status_code == 404
    page = text(browser.get(f"/e/{world.code}/photos"))
    assert "The search for your photos rests" in page
    assert not [photo for photo in photos if photo in page]


def test_new_photos_are_not_searched_for_a_stopped_account(
    app: Flask, world: World, suspect: Api, event_id: str
) -> None:
    before = photos_of(app)
    world.add_photos(event_id, *photos_with("eileen", 5)[2:])
    world.work()
    Api(app).login(OWNER).post(f"/photographer/events/{event_id}/rematch")
    world.work()
    assert photos_of(app) == before
    with app.app_context():
        person = db.session.scalars(select(Person).where(Person.name == "ada")).one()
        assert person.match_wanted == person.match_done, "nothing waits in vain"


def test_photos_that_are_shown_to_all_stay_visible(app: Flask, world: World, suspect: Api, event_id: str) -> None:
    photo = min(photos_of(app))
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).where(Photo.public_id == photo).values(shown_to_all=True))
    assert suspect.get(f"/photo/{photo}").status_code == 200


def test_other_guests_see_their_photos_as_before(app: Flask, world: World, suspect: Api) -> None:
    other = Api(app).register(world.code, "honest")
    hand_in(world, other, selfie("grace"))
    assert set(other.photo_ids()) == photos_of(app, "honest") != set()


# --- the photographer's decision ---


def test_the_photographer_sees_the_selfies(app: Flask, suspect: Api, owner: Browser, event_id: str) -> None:
    assert "1 alert" in text(owner.get(f"/studio/events/{event_id}"))
    page = owner.get(f"/studio/events/{event_id}/alerts").text
    with app.app_context():
        kept = db.session.scalars(select(Selfie.public_id).where(Selfie.retired_at.is_(None))).all()
    assert len(kept) == 2, "the one that was to be replaced is held back"
    for selfie_id in kept:
        assert selfie_id in page
        assert owner.get(f"/media/selfies/{selfie_id}").status_code == 200


def test_all_alerts_are_reached_and_none_that_waits_is_buried(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        made = [
            SearchAlert(event_id=event.id, kind=AlertKind.ACCOUNT_FACES, subject=str(number)) for number in range(40)
        ]
        for alert in made:
            db.session.add(alert)
            db.session.flush()
        made[0].decision, made[0].decided_at = AlertDecision.ALLOWED, utcnow() - timedelta(hours=2)
        made[1].decision, made[1].decided_at = AlertDecision.ALLOWED, utcnow()
        ids = [alert.public_id for alert in made]
    page = f"/studio/events/{event_id}/alerts"

    def listed(path: str) -> list[str]:
        return re.findall(r'id="alert-(?!title)([^"]+)"', owner.get(path).text)

    first = owner.get(page).text
    assert "More alerts" in first
    assert f"{page}?skip=30" in first
    assert listed(page) + listed(f"{page}?skip=30") == [*ids[2:], ids[1], ids[0]]
    assert "More alerts" not in owner.get(f"{page}?skip=30").text
    for odd in ("-1", "x", "9" * 40):
        assert owner.get(f"{page}?skip={odd}").status_code == 200


def test_after_leave_the_search_goes_on(app: Flask, world: World, suspect: Api, owner: Browser, event_id: str) -> None:
    world.add_photos(event_id, *photos_with("grace", 4)[2:])
    world.work()
    assert set(suspect.photo_ids()) == set()
    assert decide(app, owner, event_id, "allowed").status_code == 303
    world.work()
    assert status(suspect) == ("done", None)
    assert len(suspect.photo_ids()) >= 4
    with app.app_context():
        left = db.session.scalars(select(Selfie).where(Selfie.retired_at.is_(None))).all()
        assert len(left) == 1, "the newest selfie has taken the place of the one before"
    # The same faces raise no alert at once.
    hand_in(world, suspect, selfie("eileen"))
    assert status(suspect)[0] != "stopped"
    assert [decision for _, decision in alerts(app)] == ["allowed"]


def test_after_refusal_the_selfies_are_erased(
    app: Flask, world: World, suspect: Api, owner: Browser, event_id: str
) -> None:
    assert decide(app, owner, event_id, "refused").status_code == 303
    world.work()
    assert status(suspect) == ("stopped", "search_refused")
    assert photos_of(app) == set()
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Selfie)) == 0
    assert not [key for key in app.extensions["blobs"].keys("events/") if "/selfies/" in key]
    assert suspect.upload_selfie(selfie("grace"), consent="true").json["code"] == "search_refused"  # type: ignore[index]
    assert suspect.post("/consent", json={"granted": False}).status_code == 200
    assert suspect.upload_selfie(selfie("grace"), consent="true").status_code == 409


def test_the_photographer_can_take_a_refusal_back(
    app: Flask, world: World, suspect: Api, owner: Browser, event_id: str
) -> None:
    decide(app, owner, event_id, "refused")
    with app.app_context():
        person = db.session.scalars(select(Person.public_id).where(Person.name == "ada")).one()
    page = f"/studio/events/{event_id}/guests/{person}"
    assert owner.submit(f"{page}/allow", page=page).status_code == 303
    hand_in(world, suspect, selfie("grace"))
    assert status(suspect) == ("done", None)
    assert suspect.photo_ids()


def test_an_alert_is_decided_once(app: Flask, suspect: Api, owner: Browser, event_id: str) -> None:
    assert decide(app, owner, event_id, "whatever").status_code == 422
    assert decide(app, owner, event_id, "allowed").status_code == 303
    assert owner.client.post(
        f"/studio/events/{event_id}/alerts/{_alert_id(app)}",
        data={"decision": "refused", "csrf_token": owner.token(f"/studio/events/{event_id}/guests")},
    ).status_code in (400, 409)
    assert [decision for _, decision in alerts(app)] == ["allowed"]


def _alert_id(app: Flask) -> str:
    with app.app_context():
        return db.session.scalars(select(SearchAlert.public_id)).one()


def test_an_alert_of_another_event_is_not_there(app: Flask, world: World, suspect: Api, event_id: str) -> None:
    world.person("rival@example.com", UserRole.PHOTOGRAPHER)
    other = world.event("RIVAL234", owner="rival@example.com")
    rival, alert = Browser(app).sign_in("rival@example.com", PASSWORD), _alert_id(app)
    assert rival.get(f"/studio/events/{event_id}/alerts").status_code == 404
    for event in (event_id, other):
        answer = rival.submit(f"/studio/events/{event}/alerts/{alert}", {"decision": "allowed"}, page="/")
        assert answer.status_code == 404
    guest = Browser(app).sign_in("ada", PASSWORD)
    answer = guest.submit(f"/studio/events/{event_id}/alerts/{alert}", {"decision": "allowed"}, page="/")
    assert answer.status_code == 404
    assert alerts(app) == [(AlertKind.ACCOUNT_FACES, None)]


def test_a_selfie_is_held_back_for_a_week_at_most(app: Flask, world: World, suspect: Api) -> None:
    def kept() -> int:
        with app.app_context():
            search_alerts.forget()
        world.work()
        return len([key for key in app.extensions["blobs"].keys("events/") if key.endswith("/original.jpg")])

    before = kept()
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(search_stopped_at=utcnow() - timedelta(days=8)))
    assert kept() == before - 1
    assert kept() == before - 1, "the one to be decided about stays"
    assert status(suspect) == ("stopped", "search_stopped")


def test_a_stopped_guest_can_still_erase_everything(app: Flask, world: World, suspect: Api) -> None:
    assert suspect.post("/consent", json={"granted": False}).status_code == 200
    world.work()
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Selfie)) == 0
    assert stopped(app) == ["ada"], "and is not let in again by that"


def test_what_a_stopped_guest_reads_is_true_after_erasing(app: Flask, world: World, suspect: Api) -> None:
    suspect.post("/consent", json={"granted": False})
    page = text(Browser(app).sign_in("ada", PASSWORD).get(f"/e/{world.code}/photos"))
    assert "The search for your photos rests" in page
    assert "is kept" not in page


# --- many accounts on one device, and one network ---


def test_the_fifth_person_on_a_device_is_stopped(app: Flask, world: World, event_id: str) -> None:
    """A new account for each face; the attacker erases each selfie before the next one is sent."""
    phone = Phone(app)
    for number in range(6):
        assert stopped(app) == [f"account{earlier}" for earlier in range(4, number)]
        token = phone.join(world.code, f"account{number}", selfie("grace"))
        world.work()
        if number < 4:
            phone.send("DELETE", "/my-selfie", token)
    assert stopped(app) == ["account4", "account5"]
    assert alerts(app) == [(AlertKind.DEVICE_FACES, None)]


def test_the_photographer_decides_about_all_accounts_that_a_device_brought_too_many(
    app: Flask, world: World, event_id: str, owner: Browser
) -> None:
    phone = Phone(app)
    world.add_photos(event_id, *photos_with("grace", 2))
    tokens = []
    for number in range(6):
        tokens.append(phone.join(world.code, f"account{number}", selfie("grace")))
        world.work()
        if number < 4:
            phone.send("DELETE", "/my-selfie", tokens[-1])
    assert phone.send("GET", "/my-photos", tokens[-1]).json == []
    assert decide(app, owner, event_id, "allowed").status_code == 303
    world.work()
    assert stopped(app) == []
    assert len(phone.send("GET", "/my-photos", tokens[-1]).json) == 2  # type: ignore[arg-type]


def test_a_device_drifts_as_an_account_does(app: Flask, world: World, event_id: str, owner: Browser) -> None:
    """An account each for a stranger, a morph, and the next stranger: nobody is a new person to the device."""

    def of_device() -> tuple[int, float]:
        with app.app_context():
            people, drift = db.session.execute(select(DeviceFaces.faces, DeviceFaces.drift)).one()
        return people, drift

    phone = Phone(app)
    for name, picture in (("first", selfie("grace")), ("second", morph())):
        phone.join(world.code, name, picture)
        world.work()
    people, drift = of_device()
    assert people == 1
    assert 0.2 < drift < 0.7
    with app.app_context(), unit_of_work():  # Were it the last of many such accounts.
        db.session.execute(update(DeviceFaces).values(drift=strangers.DRIFT_OF_DEVICE - 0.1))
    phone.join(world.code, "third", selfie("eileen"))
    world.work()
    assert stopped(app) == ["third"]
    assert alerts(app) == [(AlertKind.DEVICE_FACES, None)]
    decide(app, owner, event_id, "allowed")
    assert of_device() == (0, 0.0)


def test_one_person_with_many_accounts_on_a_device_is_one(app: Flask, world: World, event_id: str) -> None:
    phone = Phone(app)
    for number in range(6):
        phone.join(world.code, f"account{number}", selfie("grace"))
        world.work()
    assert stopped(app) == []


@pytest.mark.faces
def test_a_familys_tablet_is_not_stopped_and_a_fifth_face_is(app: Flask, world: World, event_id: str) -> None:
    phone, pictures = Phone(app), portraits(5)
    for number, picture in enumerate(pictures[:4]):
        phone.join(world.code, f"member{number}", picture)
        world.work()
    assert alerts(app) == []
    phone.join(world.code, "fifth", pictures[4])
    world.work()
    assert stopped(app) == ["fifth"], "those who came before are searched as before"
    with app.app_context():
        shown = db.session.execute(
            select(SearchAlertMember.stopped, func.count()).group_by(SearchAlertMember.stopped)
        ).all()
    assert sorted((bool(is_stopped), count) for is_stopped, count in shown) == [(False, 4), (True, 1)]


def test_devices_are_counted_event_by_event(app: Flask, world: World, event_id: str) -> None:
    phone = Phone(app)
    for number in range(6):
        code = f"EVENT{number}23"
        world.event(code)
        token = phone.join(code, f"account{number}", selfie("grace"))
        world.work()
        phone.send("DELETE", "/my-selfie", token)
    assert alerts(app) == []


@pytest.mark.parametrize("has_cookie", [True, False])
def test_a_venues_wifi_stops_nobody(app: Flask, world: World, event_id: str, has_cookie: bool) -> None:
    """Guests behind one address, some of whom erase the selfie at once, so that every face counts as a new one."""
    for number in range(16):
        phone = Phone(app, name=secrets.token_urlsafe(16) if has_cookie else "")
        token = phone.join(world.code, f"guest{number}", selfie(("grace", "eileen")[number % 2]), source="file")
        if number % 8 == 7:
            world.work()
        if number < 8:
            phone.send("DELETE", "/my-selfie", token)
    assert stopped(app) == []
    assert [kind for kind, _ in alerts(app) if kind is not AlertKind.LATE_JOINS] == []


# --- joins after the event ---


def set_date(app: Flask, event_id: str, days_ago: int) -> None:
    with app.app_context(), unit_of_work():
        event_of(event_id).date = (datetime.now(UTC) - timedelta(days=days_ago)).date()


def join_many(app: Flask, world: World, count: int, address: Callable[[int], str], **form: str) -> None:
    for number in range(count):
        Phone(app, address=address(number)).join(world.code, f"late{number}", selfie("grace"), **form)
    world.work()


def test_many_late_joins_from_one_network_with_files_raise_an_alert(
    app: Flask, world: World, event_id: str, owner: Browser
) -> None:
    set_date(app, event_id, 3)
    join_many(app, world, 9, lambda _: VENUE, source="file")
    assert alerts(app) == []
    Phone(app).join(world.code, "tenth", selfie("grace"), source="file")
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, None)]
    assert stopped(app) == []
    page = text(owner.get(f"/studio/events/{event_id}/alerts"))
    assert page.count("Selfie from a file") == 10
    assert decide(app, owner, event_id, "refused").status_code == 422
    assert decide(app, owner, event_id, "allowed").status_code == 303
    Phone(app).join(world.code, "eleventh", selfie("grace"), source="file")
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, "allowed")], "the same ones are not told twice"


def accounts_without_selfie(app: Flask, world: World, count: int) -> list[tuple[Phone, str]]:
    phones = [Phone(app) for _ in range(count)]
    tokens = []
    for number, phone in enumerate(phones):
        data = {"username": f"late{number}", "email": f"late{number}@example.com", "password": PASSWORD}
        sent = {"user_data": data, "event_code": world.code, "consent": True}
        tokens.append(phone.send("POST", "/register-with-event-code", json=sent).json["access_token"])  # type: ignore[index]
    return list(zip(phones, tokens, strict=True))


def test_accounts_made_on_the_day_count_by_their_selfies(
    app: Flask, world: World, event_id: str, owner: Browser
) -> None:
    """The code hangs at the venue; the portraits come days later, and more of them after a decision."""
    set_date(app, event_id, 3)
    guests = accounts_without_selfie(app, world, 20)
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(created_at=utcnow() - timedelta(days=3)))
    for phone, token in guests[:10]:
        assert phone.selfie(token, selfie("grace"), source="file").status_code == 200
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, None)]
    decide(app, owner, event_id, "allowed")
    for phone, token in guests[10:]:
        assert phone.selfie(token, selfie("grace"), source="file").status_code == 200
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, "allowed"), (AlertKind.LATE_JOINS, None)]


@pytest.mark.parametrize(("hour", "rings"), [(0, False), (4, False), (7, True)])
def test_a_party_goes_on_past_midnight(app: Flask, world: World, event_id: str, hour: int, rings: bool) -> None:
    """The event was yesterday, where it is this hour of the morning now."""
    now = utcnow()
    ahead = hour - now.hour if hour - now.hour >= -12 else hour - now.hour + 24
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        event.timezone = f"Etc/GMT{-ahead:+d}"
        event.date = (now + timedelta(hours=ahead)).date() - timedelta(days=1)
    join_many(app, world, 10, lambda _: VENUE, source="file")
    assert [kind for kind, _ in alerts(app)] == [AlertKind.LATE_JOINS] * rings


@pytest.mark.parametrize(
    ("days_ago", "source", "one_network"), [(-1, "file", True), (3, "camera", True), (3, "file", False)]
)
def test_other_joins_raise_none(
    app: Flask, world: World, event_id: str, days_ago: int, source: str, one_network: bool
) -> None:
    set_date(app, event_id, days_ago)
    join_many(app, world, 10, lambda number: VENUE if one_network else f"203.0.113.{number}", source=source)
    assert alerts(app) == []


def test_hashes_of_networks_are_kept_for_a_week(app: Flask, world: World, event_id: str) -> None:
    Phone(app).join(world.code, "ada", grey())
    with app.app_context():
        kept = db.session.scalars(select(Selfie.network)).one()
        assert kept
        assert VENUE not in kept
        search_alerts.forget()
        assert db.session.scalars(select(Selfie.network)).one() == kept
        with unit_of_work():
            db.session.execute(update(Selfie).values(created_at=utcnow() - timedelta(days=8)))
        search_alerts.forget()
        assert db.session.scalars(select(Selfie.network)).one() is None


# --- camera or file ---


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("camera", SelfieSource.CAMERA),
        ("file", SelfieSource.FILE),
        ("", SelfieSource.UNKNOWN),
        ("x" * 300, SelfieSource.UNKNOWN),
    ],
)
def test_pages_say_where_a_selfie_comes_from(app: Flask, world: World, guest: Api, said: str, kept: str) -> None:
    browser = Browser(app).sign_in("ada", PASSWORD)
    sent = {"file": (io.BytesIO(grey()), "me.jpg"), "source": said}
    assert browser.submit(f"/e/{world.code}/selfie", sent).status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Selfie.source)).one() is kept


def pages_of(app: Flask, owner: Browser, event_id: str) -> list[str]:
    """The list of guests, and the guest's own page."""
    with app.app_context():
        person = db.session.scalars(select(Person.public_id).where(Person.name == "ada")).one()
    guests = f"/studio/events/{event_id}/guests"
    return [text(owner.get(guests)), text(owner.get(f"{guests}/{person}"))]


def test_the_photographer_sees_every_selfie_that_is_searched_with(
    app: Flask, world: World, guest: Api, owner: Browser, event_id: str
) -> None:
    hand_in(world, guest, selfie("eileen"))
    hand_in(world, guest, selfie("grace"), add="true")
    with app.app_context():
        ids = db.session.scalars(select(Selfie.public_id)).all()
    assert len(ids) == 2
    for page in pages_of(app, owner, event_id):
        assert all(selfie_id in page for selfie_id in ids)


def test_a_selfie_from_a_file_is_marked_for_the_photographer(
    app: Flask, world: World, guest: Api, owner: Browser, event_id: str
) -> None:
    hand_in(world, guest, selfie("grace"), source="file")
    assert "Selfie from a file" in text(owner.get(f"/studio/events/{event_id}/guests"))
    hand_in(world, guest, selfie("grace"), source="camera", add="true")
    for page in pages_of(app, owner, event_id):
        assert "from a file" in page, "the first one is searched with as well"
    hand_in(world, guest, selfie("grace"), source="camera")
    assert "Selfie from a file" not in text(owner.get(f"/studio/events/{event_id}/guests"))
    assert guest.upload_selfie(selfie("grace"), source="moon").status_code == 422


# --- consent ---


def test_whoever_agreed_to_the_text_of_before_loses_nothing_and_is_asked_again(
    app: Flask, world: World, guest: Api, event_id: str
) -> None:
    world.add_photos(event_id, *photos_with("grace", 2))
    hand_in(world, guest, selfie("grace"))
    with app.app_context(), unit_of_work():
        db.session.execute(update(Consent).values(text_version="2026-11"))
    world.add_photos(event_id, *photos_with("grace", 4)[2:])
    world.work()
    assert len(guest.photo_ids()) == 4
    assert guest.upload_selfie(selfie("grace")).json["code"] == "consent_required"  # type: ignore[index]
    browser, page = Browser(app).sign_in("ada", PASSWORD), f"/e/{world.code}/selfie"
    shown = text(browser.get(page))
    assert "The photographer of this event sees my selfie." in shown
    assert "Stop looking for my face" in shown
    file = (io.BytesIO(selfie("grace")), "me.jpg")
    assert browser.submit(page, {"file": file}).status_code == 422
    assert len(guest.photo_ids()) == 4
    hand_in(world, guest, selfie("grace"), consent="true")
    assert len(guest.photo_ids()) == 4
