"""Who sees which photo, through every route that leads to a picture: one that opens, and one that does not, for each.

The whole table of states is tested on the services behind them, in test_visibility_table.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import HTMX, Browser
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Band,
    Event,
    Face,
    Match,
    Membership,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    User,
    UserRole,
    Verdict,
)


@dataclass(frozen=True)
class Scene:
    """One photo of an event, and the guest who was found on it."""

    app: Flask
    event_id: str
    photo_id: str
    match_id: str
    guest: Browser

    def put(self, *, published: bool = True, hidden: bool = False, to_all: bool = False) -> None:
        """Bring the photo into a state."""
        now = utcnow()
        self.change(
            update(Photo).values(
                published_at=now if published else None, hidden_at=now if hidden else None, shown_to_all=to_all
            )
        )

    def match(self, band: str, verdict: str) -> None:
        """Bring the guest's match into a state."""
        self.change(update(Match).values(band=Band(band), verdict=Verdict(verdict)))

    def change(self, *statements: object) -> None:
        with self.app.app_context():
            for statement in statements:
                db.session.execute(statement)  # type: ignore[call-overload]
            db.session.commit()

    def ways(self, browser: Browser) -> dict[str, bool]:
        """Which ways to the photo are open to somebody."""
        lists = {name: browser.get(f"/api/{name}?event_id={self.event_id}") for name in ("my-photos", "all-photos")}
        asked = browser.get(f"/api/my-photos?event_id={self.event_id}&band=maybe")
        page = browser.get("/e/PARTY234/photos")
        return {
            **{f"photo by {path}": opens(browser, path) for path in self.pictures()},
            **{name: answer.status_code == 200 and self.photo_id in answer.text for name, answer in lists.items()},
            "asked about": asked.status_code == 200 and self.match_id in asked.text,
            "crop": opens(browser, f"/media/crops/{self.match_id}"),
            "on the page of my photos": page.status_code == 200 and f"photo-{self.photo_id}" in page.text,
            "asked on the page": page.status_code == 200 and f"question-{self.match_id}" in page.text,
            "page of the photo": opens(browser, f"/e/PARTY234/photos/{self.photo_id}"),
            "among those for all": f"photo-{self.photo_id}" in browser.get("/e/PARTY234/shared").text,
            "page for all": opens(browser, f"/e/PARTY234/shared/{self.photo_id}"),
        }

    def pictures(self) -> Iterator[str]:
        for size in ("original", "preview", "thumbnail"):
            yield f"/media/photos/{self.photo_id}/{size}"
            yield f"/api/photo/{self.photo_id}?size={size}"


def opens(browser: Browser, path: str) -> bool:
    """Whether an address shows what it names; anything but yes is a 404, or the way to the event's landing page."""
    with browser.get(path) as answer:
        assert answer.status_code in (200, 404) or answer.headers["Location"] == "/e/PARTY234", path
        assert answer.status_code != 200 or "no-store" in str(answer.cache_control) or not answer.cache_control.public
        return answer.status_code == 200


def expected(
    scene: Scene, *, photo: bool = False, mine: bool = False, to_all: bool = False, asked: bool = False
) -> dict[str, bool]:
    """Which ways are open, by what is: the photo itself, its place among one's own or everybody's, its question."""
    return {
        **{f"photo by {path}": photo for path in scene.pictures()},
        "my-photos": mine,
        "all-photos": to_all,
        "asked about": asked,
        "crop": mine or asked,
        "on the page of my photos": mine,
        "asked on the page": asked,
        "page of the photo": mine,
        "among those for all": to_all,
        "page for all": to_all,
    }


@pytest.fixture
def scene(app: Flask, world: World, api: Api) -> Scene:
    event_id = world.event()
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    api.register(world.code, "guest").upload_selfie(selfie("grace"))
    world.work()
    with app.app_context():
        match_id = db.session.scalars(select(Match.public_id)).one()
    return Scene(app, event_id, str(photo_id), match_id, Browser(app).sign_in("guest", PASSWORD))


@pytest.mark.parametrize(
    ("state", "match", "opens_to_guest"),
    [
        ({}, ("sure", "none"), {"photo": True, "mine": True}),
        ({}, ("maybe", "none"), {"asked": True}),
        ({"to_all": True}, ("none", "none"), {"photo": True, "to_all": True}),
        ({"to_all": True, "hidden": True}, ("sure", "confirmed"), {}),
        ({"to_all": True, "published": False}, ("maybe", "none"), {}),
    ],
    ids=["sure", "maybe", "shown to all", "hidden", "not published"],
)
def test_the_guest_who_was_found(
    scene: Scene, state: dict[str, bool], match: tuple[str, str], opens_to_guest: dict[str, bool]
) -> None:
    scene.put(**state)
    scene.match(*match)
    assert scene.ways(scene.guest) == expected(scene, **opens_to_guest)


def test_everybody_else(scene: Scene, world: World, api: Api) -> None:
    api.register(world.code, "member")
    world.event("OTHER234", owner="rival@example.com")
    api.register("OTHER234", "stranger")
    world.person("admin@example.com", UserRole.ADMIN)
    runs = ("photographer@example.com", "admin@example.com")
    for login in (*runs, "member", "stranger", "rival@example.com"):
        browser = Browser(scene.app).sign_in(login, PASSWORD)
        for to_all in (False, True):
            scene.put(to_all=to_all)
            shared = to_all and login in ("member", "photographer@example.com")
            assert scene.ways(browser) == expected(scene, photo=login in runs or shared, to_all=shared), (login, to_all)


def test_a_photo_that_is_not_finished_is_the_photographers_alone(scene: Scene) -> None:
    owner = Browser(scene.app).sign_in("photographer@example.com", PASSWORD)
    scene.put(to_all=True)
    scene.change(update(Photo).values(status=PhotoStatus.INDEXING))
    assert scene.ways(scene.guest) == expected(scene)
    assert opens(owner, f"/media/photos/{scene.photo_id}/original")


def test_where_photos_wait_for_approval_guests_know_nothing_of_them(scene: Scene, world: World, api: Api) -> None:
    """Neither in lists nor as a crop, in a poll, or as a number of what is searched."""
    scene.change(update(Event).values(approval=True), update(Photo).values(hidden_at=utcnow()))
    (waiting,) = world.add_photos(scene.event_id, photos_with("grace", 2)[1])
    live = "/e/PARTY234/photos/live"
    guest = api.login("guest")
    for status in (PhotoStatus.UPLOADED, PhotoStatus.INDEXING):
        scene.change(update(Photo).where(Photo.public_id == waiting).values(status=status))
        assert guest.get("/rematch-status").json["photos_total"] == 0, "no hint that anything came in"
    scene.change(update(Photo).where(Photo.public_id == waiting).values(status=PhotoStatus.UPLOADED))
    world.work()
    mine = select(Match.public_id).join(Photo, Photo.id == Match.photo_id).where(Photo.public_id == waiting)
    with scene.app.app_context():
        match_id = db.session.scalars(mine).one()
    found = Scene(scene.app, scene.event_id, str(waiting), match_id, scene.guest)
    for band in ("sure", "maybe"):
        found.match(band, "none")
        assert found.ways(scene.guest) == expected(found), band
        page = scene.guest.get("/e/PARTY234/photos").text + scene.guest.get(live, headers=HTMX).text
        assert str(waiting) not in page and match_id not in page
        status = guest.get("/rematch-status").json
        assert (status["photos_total"], status["photos_indexed"], status["matches"]) == (0, 0, 0)
    owner = Browser(scene.app).sign_in("photographer@example.com", PASSWORD)
    grid = f"/studio/events/{scene.event_id}/photos"
    assert str(waiting) in owner.get(f"{grid}?state=unpublished").text
    owner.submit(f"{grid}/actions", {"action": "publish", "ids": [waiting]}, page=grid)
    found.match("sure", "none")
    assert found.ways(scene.guest)["my-photos"] and str(waiting) in scene.guest.get(live, headers=HTMX).text
    assert guest.get("/rematch-status").json["photos_total"] == 1


def test_a_second_face_keeps_a_photo_that_one_face_was_rejected_on(scene: Scene) -> None:
    scene.match("sure", "rejected")
    assert not scene.ways(scene.guest)["my-photos"]
    with scene.app.app_context():
        first = db.session.scalars(select(Match)).one()
        face = db.session.get_one(Face, first.face_id)
        columns = {key: value for key, value in vars(face).items() if not key.startswith("_") and key != "id"}
        db.session.add(second := Face(**columns | {"ordinal": 99}))
        db.session.flush()
        db.session.add(
            Match(
                face_id=second.id,
                person_id=first.person_id,
                photo_id=first.photo_id,
                similarity=0.9,
                band=Band.SURE,
            )
        )
        db.session.commit()
    assert scene.ways(scene.guest)["my-photos"]
    assert not scene.ways(scene.guest)["crop"]


def test_yes_opens_the_photo_and_not_me_closes_it(scene: Scene) -> None:
    scene.match("maybe", "none")
    path = f"/e/PARTY234/matches/{scene.match_id}"
    picture = f"/media/photos/{scene.photo_id}/preview"
    assert not opens(scene.guest, picture)
    scene.guest.submit(path, {"verdict": "confirmed"}, page="/e/PARTY234/photos")
    assert opens(scene.guest, picture)
    scene.guest.submit(path, {"verdict": "rejected"}, page="/e/PARTY234/photos")
    assert not opens(scene.guest, picture)


def test_a_browser_that_has_a_picture_asks_in_vain_once_it_is_hidden(scene: Scene) -> None:
    path = f"/media/photos/{scene.photo_id}/preview"
    with scene.guest.get(path) as first:
        etag = first.headers["ETag"]
        assert first.cache_control.private and not first.cache_control.public
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        whole = first.data
    with scene.guest.get(path, headers={"If-None-Match": etag}) as known:
        assert known.status_code == 304
    with scene.guest.get(path, headers={"Range": "bytes=10-19"}) as part:
        assert (part.status_code, part.data) == (206, whole[10:20])
    scene.put(hidden=True)
    for headers in ({"If-None-Match": etag}, {"Range": "bytes=10-19"}):
        with scene.guest.get(path, headers=headers) as answer:
            assert answer.status_code == 404


def test_a_selfie_is_seen_by_its_owner_and_by_who_runs_the_event(scene: Scene, world: World, api: Api) -> None:
    api.register(world.code, "member")
    world.event("OTHER234", owner="rival@example.com")
    world.person("admin@example.com", UserRole.ADMIN)
    with scene.app.app_context():
        selfie_id = db.session.scalars(select(Selfie.public_id)).one()
    sees = {
        login: opens(Browser(scene.app).sign_in(login, PASSWORD), f"/media/selfies/{selfie_id}")
        for login in ("guest", "member", "photographer@example.com", "rival@example.com", "admin@example.com")
    }
    assert sees == {
        "guest": True,
        "member": False,
        "photographer@example.com": True,
        "rival@example.com": False,
        "admin@example.com": True,
    }


def test_closing_the_event_takes_no_photo_away(scene: Scene) -> None:
    before = scene.ways(scene.guest)
    scene.change(update(Event).values(status="closed"))
    assert scene.ways(scene.guest) == before


def test_a_dependants_photos_are_shown_to_who_takes_care_of_them_only(scene: Scene, world: World, api: Api) -> None:
    """Matches hang on persons: somebody else's person opens nothing, one of one's own does."""
    api.register(world.code, "member")
    with scene.app.app_context():
        member = db.session.scalars(select(Membership).join(User).where(User.username == "member")).one()
        child = Person(membership_id=member.id, event_id=member.event_id, kind="dependant", name="Child")
        db.session.add(child)
        db.session.flush()
        db.session.execute(update(Match).values(person_id=child.id))
        db.session.commit()
    picture = f"/media/photos/{scene.photo_id}/preview"
    assert not opens(scene.guest, picture)
    assert opens(Browser(scene.app).sign_in("member", PASSWORD), picture)
