"""The photographer's grid: pages, filters and their counts, what is done with many photos, and one photo."""

import re
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.support.actors import PASSWORD, Api, World, demo_photos
from tests.support.browsing import HTMX, Browser, text
from tests.support.concurrency import at_once, inside
from tests.support.crowd import add_guest, add_photo, asked, event_of, user_of
from webapp.db.extensions import db
from webapp.errors import Transient
from webapp.models import Camera, Match, Photo, PhotoStatus, Rematch, Removal, User
from webapp.queueing import unit_of_work
from webapp.services.core import rematch_requests
from webapp.services.erasure import bulk, event_erasure
from webapp.services.events import events
from webapp.services.queries import event_overview, gallery

pytestmark = pytest.mark.both_databases

OWNER = "photographer@example.com"


@dataclass
class Desk:
    """An event full of photos, and its photographer's browser."""

    app: Flask
    event_id: str
    browser: Browser

    @property
    def path(self) -> str:
        return f"/studio/events/{self.event_id}/photos"

    def ids(self, query: str = "") -> list[str]:
        """The photos of a page, in its order."""
        return re.findall(r'id="shot-([^"]+)"', self.browser.get(f"{self.path}{query}").text)

    def all_ids(self, query: str = "") -> list[str]:
        """The photos of all pages, by the links that a browser without a script follows."""
        found, address = [], f"{self.path}{query}"
        while address:
            page = text(self.browser.get(address))
            found += re.findall(r'id="shot-([^"]+)"', page)
            further = re.search(r'rel="next" href="([^"]+)"', page)
            address = further[1] if further else ""
        return found

    def act(self, action: str, *ids: str, htmx: bool = False, **form: object) -> str:
        """Press a button of the grid; returns what is answered."""
        data = {"action": action, "ids": list(ids), **form}
        answer = self.browser.submit(f"{self.path}/actions", data, page=self.path, htmx=htmx)
        assert answer.status_code in (200, 303), text(answer)
        return text(answer) if answer.status_code == 200 else text(self.browser.get(answer.location))

    def count(self, *conditions: object) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.count()).select_from(Photo).where(*conditions)) or 0  # type: ignore[arg-type]


def fill(desk: Desk, last: int, first: int = 0) -> None:
    with desk.app.app_context(), unit_of_work():
        for number in range(first, last):
            photo = add_photo(event_of(desk.event_id), number, [])
            photo.public_id, photo.shown_to_all = f"photo{number}", False


@pytest.fixture
def desk(app: Flask, world: World) -> Desk:
    event_id = world.event()
    made = Desk(app, event_id, Browser(app).sign_in(OWNER, PASSWORD))
    fill(made, 5)
    return made


def names(numbers: range | list[int]) -> list[str]:
    return [f"photo{number}" for number in numbers]


def hide(desk: Desk, *ids: str) -> None:
    desk.act("hide", *ids)


@pytest.mark.parametrize("order", ["latest", "earliest", "arrival"])
def test_the_pages_show_every_photo_once_and_in_order(desk: Desk, order: str) -> None:
    fill(desk, 150, 5)
    with desk.app.app_context():  # Many of one moment, as a burst makes them: the key decides.
        moment = db.session.scalars(select(Photo.sorted_at).limit(1)).one()
        db.session.execute(update(Photo).where(Photo.id > 20).values(sorted_at=moment))
        db.session.commit()
    found = desk.all_ids(f"?order={order}")
    assert sorted(found) == sorted(names(range(150)))
    key = {"latest": (Photo.sorted_at.desc(), Photo.id.desc()), "earliest": (Photo.sorted_at, Photo.id)}
    with desk.app.app_context():
        wanted = db.session.scalars(select(Photo.public_id).order_by(*key.get(order, (Photo.id.desc(),)))).all()
    assert found == list(wanted)


def test_a_further_page_is_a_fragment_for_htmx(desk: Desk) -> None:
    fill(desk, 70, 5)
    first = text(desk.browser.get(desk.path))
    (address,) = re.findall(r'class="near" hx-get="([^"]+)"', first)
    answer = text(desk.browser.get(address, headers=HTMX))
    assert "<html" not in answer and len(re.findall(r'id="shot-', answer)) == 10


def test_filters_tell_photos_apart_and_stand_beside_their_counts(desk: Desk) -> None:
    with desk.app.app_context(), unit_of_work():
        event = event_of(desk.event_id)
        photo = add_photo(event, 5, [add_guest(event, "guest@example.com")])
        photo.public_id, photo.shown_to_all = "photo5", True
        photo.same_shot_as_id = db.session.scalars(select(Photo.id).where(Photo.public_id == "photo0")).one()
    with desk.app.app_context():
        states = {
            "photo0": {"status": PhotoStatus.FAILED, "failure_reason": "truncated"},
            "photo1": {"status": PhotoStatus.UPLOADED, "faces_count": None},
            "photo2": {"published_at": None},
            "photo3": {"hidden_at": func.now()},
        }
        for public_id, values in states.items():
            db.session.execute(update(Photo).where(Photo.public_id == public_id).values(**values))
        db.session.commit()
    expected = {
        "state=failed": [0],
        "state=working": [1],
        "state=unpublished": [2],
        "state=hidden": [3],
        "state=shared": [5],
        "state=same-shot": [5],
        "state=ready": [2, 3, 4, 5],
        "guests=yes": [5],
        "guests=no": [2, 3, 4],
        "faces=yes": [5],
        "faces=no": [0, 2, 3, 4],
        "faces=no&state=hidden": [3],
        "by=nobody": [],
        "state=nonsense&order=nonsense&faces=maybe&after=nonsense": [0, 1, 2, 3, 4, 5],
    }
    assert {query: sorted(desk.ids(f"?{query}")) for query in expected} == {
        query: names(numbers) for query, numbers in expected.items()
    }
    page = text(desk.browser.get(desk.path))
    for label, count in (("All", 6), ("Ready", 4), ("Failed", 1), ("Not published", 1), ("Hidden", 1)):
        assert re.search(rf'>{label} <span class="numbers">{count}<', page), label
    assert "With guests (1)" in text(desk.browser.get(f"{desk.path}/filters", headers=HTMX))


def test_the_further_filters_name_cameras_and_uploaders_with_their_counts(desk: Desk) -> None:
    with desk.app.app_context(), unit_of_work():
        event = event_of(desk.event_id)
        cameras = [Camera(event_id=event.id, key=name, name=name) for name in ("EOS R6", "NIKON Z 6_2")]
        db.session.add_all([*cameras, second := User(email="second@example.com", name="Second")])
        db.session.flush()
        first = event.memberships[0].user_id
        for number, photo in enumerate(db.session.scalars(select(Photo).order_by(Photo.id))):
            photo.camera_id = cameras[number > 1].id
            photo.uploaded_by_id = first if number else second.id
        chosen = cameras[0].public_id
    for path, headers in ((f"{desk.path}/filters?", HTMX), (f"{desk.path}?filters=&", {})):
        page = text(desk.browser.get(f"{path}camera={chosen}", headers=headers))
        for option in ("EOS R6 (2)", "NIKON Z 6_2 (3)", "photographer (4)", "Second (1)"):
            assert f">{option}</option>" in page, option
        assert f'value="{chosen}" selected>EOS R6' in page
    assert sorted(desk.ids(f"?camera={chosen}")) == names([0, 1])


def test_an_action_changes_what_is_chosen_and_nothing_else(desk: Desk) -> None:
    assert "Hid 2 photos" in desk.act("hide", "photo0", "photo1")
    assert desk.count(Photo.hidden_at.is_not(None)) == 2
    assert "Nothing had to change" in desk.act("hide", "photo0")
    assert "1 photo is no longer hidden" in desk.act("unhide", "photo0")
    assert "Marked 1 photo for all guests. Guests have no page" in desk.act("share", "photo4")
    assert desk.ids("?state=shared") == ["photo4"]
    assert "Took 1 photo back" in desk.act("unpublish", "photo2")
    assert "Published 1 photo" in desk.act("publish", "photo2")
    assert desk.count(Photo.published_at.is_(None)) == 0


def test_all_of_a_filter_is_asked_about_and_means_what_was_there_then(desk: Desk) -> None:
    hide(desk, "photo0", "photo1")
    question = desk.act("unhide", all=1, state="hidden")
    assert "Show 2 photos again?" in question
    up_to = re.findall(r'name="up_to" value="(\d+)"', question)[0]
    fill(desk, 7, 5)
    hide(desk, "photo6")
    assert "2 photos are no longer hidden" in desk.act("unhide", all=1, state="hidden", confirmed=2, up_to=up_to)
    assert desk.ids("?state=hidden") == ["photo6"]


def test_a_question_counts_what_changes_and_not_what_is_so_already(desk: Desk) -> None:
    desk.act("share", "photo0", "photo1")
    question = desk.act("share", all=1)
    assert "Mark 3 photos for all guests?" in question and "2 of them need no change." in question
    up_to = re.findall(r'name="up_to" value="(\d+)"', question)[0]
    assert "Marked 3 photos for all guests." in desk.act("share", all=1, confirmed=3, up_to=up_to)
    assert "Nothing had to change" in desk.act("share", all=1)
    assert "Nothing had to change" in desk.act("retry", all=1), "none has failed"
    assert "No photo was chosen" in desk.act("share", all=1, state="hidden")


def test_deleting_is_asked_about_and_erases(desk: Desk) -> None:
    question = desk.act("delete", "photo0", "photo1")
    assert "Delete 2 photos for good?" in question and desk.count() == 5
    up_to = re.findall(r'name="up_to" value="(\d+)"', question)[0]
    assert "Deleted 2 photos" in desk.act("delete", "photo0", "photo1", confirmed=2, up_to=up_to)
    assert sorted(desk.ids()) == names([2, 3, 4]) and desk.count() == 3
    assert "Delete 3 photos" in desk.act("delete", all=1, confirmed=2, up_to=up_to + "9"), "more than was asked about"
    assert desk.count() == 3


def test_many_are_gone_at_once_and_jobs_erase_them(desk: Desk, world: World) -> None:
    fill(desk, 130, 5)
    with desk.app.app_context(), unit_of_work():
        event = event_of(desk.event_id)
        add_photo(event, 900, [add_guest(event, "guest@example.com")]).published_at = None
    question = desk.act("delete", all=1)
    up_to = re.findall(r'name="up_to" value="(\d+)"', question)[0]
    assert "Deleted 131 photos" in desk.act("delete", all=1, confirmed=131, up_to=up_to)
    assert desk.ids() == [] and "131 deleted photos are still being erased" in text(desk.browser.get(desk.path))
    with desk.app.app_context():
        assert bulk.events_waiting() == [desk.event_id]
        assert set(db.session.scalars(select(Photo.sha256))) == {None}, "the same bytes are welcome as a new photo"
    world.work()
    assert desk.count() == 0
    with desk.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Match)) == 0
        assert bulk.erase_piece(desk.event_id) == 0, "and again there is nothing to do"


def test_what_is_being_erased_is_nowhere(desk: Desk, api: Api) -> None:
    shown = {"status": PhotoStatus.ERASING, "shown_to_all": True}
    with desk.app.app_context():
        db.session.execute(update(Photo).where(Photo.public_id.in_(["photo0", "photo1"])).values(**shown))
        db.session.commit()
    assert sorted(desk.ids()) == names([2, 3, 4])
    owner = api.login(OWNER)
    rows = owner.get(f"/photographer/events/{desk.event_id}/photos").json
    assert sorted(row["id"] for row in rows) == names([2, 3, 4])
    assert owner.get(f"/photographer/events/{desk.event_id}/photos?status=erasing").json == []
    overview = text(desk.browser.get(f"/studio/events/{desk.event_id}"))
    assert "photo0" not in overview and "photo4" in overview
    for size in ("original", "preview", "thumbnail", "web"):
        assert desk.browser.get(f"/media/photos/photo0/{size}").status_code == 404
        assert owner.get(f"/photo/photo0?size={size}").status_code == 404
    assert desk.browser.get("/photos/photo0/download").status_code == 404
    assert desk.browser.get(f"{desk.path}/photo0").status_code == 404
    with desk.app.app_context():
        event = event_of(desk.event_id)
        assert event_overview.progress_of_event(event).total == 3
        assert [card.photos for card in events.all_cards()] == [3]
        assert event_erasure.contents_of(event).photos == 3
        assert gallery.photo_progress(event.id) == (3, 3) and gallery.shown_to_all(event) == []


def test_the_bytes_of_a_photo_that_is_being_erased_are_a_new_photo(desk: Desk, world: World) -> None:
    file = demo_photos(1)[0]
    (old,) = world.add_photos(desk.event_id, file)
    with desk.app.app_context():
        db.session.execute(update(Photo).where(Photo.public_id == old).values(status=PhotoStatus.ERASING))
        db.session.commit()
    with pytest.raises(Transient) as going:  # its row still has the bytes' digest: it is erased right now
        world.add_photos(desk.event_id, file)
    assert going.value.code == "photo_going"
    with desk.app.app_context():
        db.session.execute(update(Photo).where(Photo.public_id == old).values(sha256=None))
        db.session.commit()
    (new,) = world.add_photos(desk.event_id, file)
    world.work()
    with desk.app.app_context():
        assert bulk.erase_piece(desk.event_id) == 1
    world.work()
    assert new != old and desk.count(Photo.public_id == new, Photo.status == PhotoStatus.INDEXED) == 1
    with desk.browser.get(f"/media/photos/{new}/original") as answer:
        assert answer.data == file[1]


def test_an_event_is_erased_while_its_photos_are(desk: Desk, world: World) -> None:
    fill(desk, 130, 5)
    question = desk.act("delete", all=1)
    up_to = re.findall(r'name="up_to" value="(\d+)"', question)[0]
    desk.act("delete", all=1, confirmed=130, up_to=up_to)
    with desk.app.app_context(), unit_of_work():
        rematch_requests.request(event_of(desk.event_id), user_of(OWNER))

    def erase_event() -> None:
        with unit_of_work():
            event_erasure.erase_event(event_of(desk.event_id), None)

    at_once(
        inside(desk.app, lambda: bulk.erase_piece(desk.event_id)),
        inside(desk.app, erase_event),
        inside(desk.app, lambda: bulk.erase_piece(desk.event_id)),
    )
    world.work()
    assert desk.count() == 0
    with desk.app.app_context():
        assert bulk.events_waiting() == []
        assert db.session.scalars(select(Rematch.id)).all() == [], "the event's rematches go as well"
        assert db.session.scalar(select(func.count()).select_from(Removal)) == 0


def test_undo_takes_back_exactly_what_was_done(desk: Desk) -> None:
    hide(desk, "photo0")
    answer = desk.act("hide", "photo0", "photo1", htmx=True)
    assert "Hid 1 photo" in answer
    undo = re.findall(r'name="(ids|action)" value="([^"]+)"', answer.partition('id="states"')[0])
    assert undo == [("action", "unhide"), ("ids", "photo1")]
    desk.act("unhide", "photo1", undo=1, htmx=True)
    assert desk.ids("?state=hidden") == ["photo0"]


def test_the_answer_brings_changed_tiles_and_takes_those_away_that_fit_no_more(desk: Desk) -> None:
    answer = desk.act("hide", "photo0", htmx=True)
    assert re.search(r'<li id="shot-photo0" class="is-hidden" hx-swap-oob="true"', answer)
    assert 'id="states"' in answer and 'hx-swap-oob="true"' in answer
    answer = desk.act("unhide", "photo0", htmx=True, state="hidden")
    assert '<li id="shot-photo0" hx-swap-oob="delete">' in answer


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"action": "burn"}, 422),
        ({}, 422),
        ({"action": "hide", "ids": ["x"] * 501}, 422),
        ({"action": "hide", "ids": ["'; DROP TABLE photo"]}, 303),
        ({"action": "unhide", "at": "9" * 30}, 303),
        ({"action": "unhide", "at": "-1", "up_to": "9999999999999"}, 303),
        ({"action": "unhide", "at": "-" + "9" * 30}, 303),
    ],
)
def test_what_no_form_of_ours_sends_is_refused_or_changes_nothing(
    desk: Desk, form: dict[str, object], status: int
) -> None:
    assert desk.browser.submit(f"{desk.path}/actions", form, page=desk.path).status_code == status
    assert desk.count(Photo.hidden_at.is_(None)) == 5


def test_nobody_reaches_photos_of_another_event(desk: Desk, world: World) -> None:
    rival_event = world.event("THIRD234", owner="rival@example.com")
    rival = Desk(desk.app, rival_event, Browser(desk.app).sign_in("rival@example.com", PASSWORD))
    assert rival.browser.get(f"{rival.path}/photo0").status_code == 404
    assert "photo0" not in rival.browser.get(f"{rival.path}/tiles?ids=photo0", headers=HTMX).text
    rival.act("hide", "photo0")
    assert desk.count(Photo.hidden_at.is_not(None)) == 0


def test_one_photo_shows_its_faces_its_guests_and_its_neighbours(desk: Desk) -> None:
    with desk.app.app_context(), unit_of_work():
        event = event_of(desk.event_id)
        photo = add_photo(event, 5, [add_guest(event, "guest@example.com")])
        photo.public_id = "photo5"
    page = text(desk.browser.get(f"{desk.path}/photo3?order=arrival"))
    assert re.search(r'rel="prev" href="[^"]*/photo4\?order=arrival"', page)
    assert re.search(r'rel="next" href="[^"]*/photo2\?order=arrival"', page)
    seen = text(desk.browser.get(f"{desk.path}/photo5"))
    assert seen.count("<rect x=") == 3 and "style=" not in seen.partition("<main")[2]
    assert [word for word in ("said yes", "sure", "asked") if word in seen] == ["said yes", "sure", "asked"]
    alone = text(desk.browser.get(f"{desk.path}/photo3?state=hidden"))
    assert 'rel="next"' not in alone


def test_a_failed_photo_says_why_and_is_tried_again(desk: Desk) -> None:
    with desk.app.app_context():
        failed = {"status": PhotoStatus.FAILED, "failure_reason": "truncated"}
        db.session.execute(update(Photo).where(Photo.public_id.in_(["photo0", "photo1"])).values(**failed))
        db.session.commit()
    assert "damaged or did not arrive completely" in text(desk.browser.get(f"{desk.path}/photo0"))
    assert "Trying 1 photo again" in desk.act("retry", "photo0", "photo3")
    assert desk.count(Photo.status == PhotoStatus.UPLOADED) == 1


def test_tiles_that_were_on_their_way_are_brought_when_they_are_finished(desk: Desk) -> None:
    with desk.app.app_context():
        db.session.execute(update(Photo).where(Photo.public_id == "photo0").values(status=PhotoStatus.INDEXING))
        db.session.commit()
    page = text(desk.browser.get(desk.path))
    address = re.findall(r'hx-get="([^"]+/tiles\?[^"]+)"', page)[0]
    assert "ids=photo0" in address
    still = text(desk.browser.get(address, headers=HTMX))
    assert "ids=photo0" in still and "shot-photo0" not in still
    with desk.app.app_context():
        db.session.execute(update(Photo).values(status=PhotoStatus.INDEXED))
        db.session.commit()
    done = text(desk.browser.get(address, headers=HTMX))
    assert 'id="shot-photo0" hx-swap-oob="true"' in done and "/tiles" not in done


def test_the_grid_asks_as_often_for_many_as_for_few(desk: Desk) -> None:
    addresses = ["", "?state=ready", "?guests=no", "?filters=", "/live", "/filters", "/photo0"]

    def count() -> dict[str, int]:
        counts = {}
        for address in addresses:
            with asked(desk.app) as noted:
                headers = HTMX if address in ("/live", "/filters") else {}
                assert desk.browser.get(desk.path + address, headers=headers).status_code == 200
            counts[address] = len(noted.statements)
        return counts

    few = count()
    fill(desk, 200, 5)
    assert count() == few
    assert max(few.values()) <= 20, few
