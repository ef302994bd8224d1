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

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.attacks.suspects import OWNER, alerts, decide, hand_in, morph, photos_of, portraits, status, stopped
from tests.support import faces
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.crowd import event_of
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    AlertDecision,
    AlertKind,
    Match,
    Membership,
    MembershipRole,
    Person,
    Photo,
    SearchAlert,
    Selfie,
    SelfieStatus,
    UserRole,
)
from webapp.queueing import unit_of_work
from webapp.services.strangers import search_alerts, strangers

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
