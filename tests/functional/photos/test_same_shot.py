"""One shot handed in twice: the later export takes the earlier one's place, or both stay; what people said stands."""

import io
import re

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.support.actors import PASSWORD, Api, World, photos_with
from tests.support.browsing import HTMX, Browser, text
from tests.support.concurrency import at_once, inside
from tests.support.reindexing import index_again, reexported
from tests.support.shots import OWNER, Shots, blurred, exports, of_shot, set_up
from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound
from webapp.models import Event, Face, Match, Photo, PhotoStatus, Rendition, RenditionKind, Upload, User, Verdict
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, deletion_outbox
from webapp.services.erasure import photo_erasure
from webapp.services.photos import same_shot
from webapp.services.photos.same_shot import Decision
from webapp.services.queries import photo_grid
from webapp.services.rules.visibility import is_there


@pytest.fixture
def shots(app: Flask, world: World, api: Api) -> Shots:
    return set_up(app, world, api)


@pytest.mark.parametrize("verdict", ["confirmed", "rejected"])
def test_what_was_said_of_the_old_file_stands_when_it_is_replaced(shots: Shots, verdict: str) -> None:
    old, new = exports()
    earlier, later = shots.add(old, new)
    match_id = shots.say(earlier, verdict)
    assert shots.undecided() == [later]
    assert shots.original(earlier) == old[1]
    answer = shots.decide(later, "replace", photo=later)
    assert (answer.status_code, answer.location) == (303, f"{shots.path}/{earlier}")
    shots.world.work()
    assert shots.names() == {earlier: "new1.jpg"} and shots.undecided() == []
    assert shots.original(earlier) == new[1]
    assert shots.said() == [(earlier, match_id, verdict)]
    assert shots.guest.photo_ids() == ([earlier] if verdict == "confirmed" else [])
    assert "new1.jpg" in text(shots.owner.get(f"{shots.path}/{earlier}"))
    shots.assert_blobs_are_known()


@pytest.mark.parametrize("verdict", ["confirmed", "rejected"])
def test_what_was_said_of_the_new_file_is_carried_over(shots: Shots, verdict: str) -> None:
    earlier, later = shots.add(*exports())
    shots.say(later, verdict)
    assert len(shots.said()) == 2
    shots.decide(later, "replace")
    shots.world.work()
    ((photo_id, _, kept),) = shots.said()
    assert (photo_id, kept) == (earlier, verdict)
    assert shots.guest.photo_ids() == ([earlier] if verdict == "confirmed" else [])


def test_of_two_words_about_one_face_the_later_one_counts(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    match_id = shots.say(earlier, "rejected")
    shots.say(later, "confirmed")
    shots.decide(later, "replace")
    shots.world.work()
    assert shots.said() == [(earlier, match_id, "confirmed")]


@pytest.mark.parametrize("verdict", ["confirmed", "rejected"])
def test_a_face_that_only_the_new_file_shows_brings_its_verdict(shots: Shots, verdict: str) -> None:
    earlier, later = shots.add(blurred(), exports()[1])
    match_id = shots.say(later, verdict)
    shots.decide(later, "replace")
    assert shots.said() == [(earlier, match_id, verdict)], "before it is looked at again as well"
    shots.world.work()
    assert shots.said() == [(earlier, match_id, verdict)]
    with shots.app.app_context():
        assert [face.ordinal for face in db.session.scalars(select(Face).join(Photo).where(is_there()))] == [0]
        assert db.session.scalars(select(Photo.faces_count).where(is_there())).all() == [1]
    assert shots.guest.photo_ids() == ([earlier] if verdict == "confirmed" else [])


def test_both_are_kept_and_nobody_asks_again(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    page = text(shots.owner.get(f"{shots.path}/{later}"))
    assert "Replace the old one" in page and "old1.jpg" in page
    assert shots.decide(later, "both", photo=later).location == f"{shots.path}/{later}"
    assert "Replace the old one" not in text(shots.owner.get(f"{shots.path}/{later}"))
    index_again(shots.app, shots.world, later)
    assert shots.undecided() == []
    assert sorted(shots.guest.photo_ids()) == sorted([earlier, later])


def test_a_shot_is_replaced_again_and_again_and_leaves_nothing_when_it_is_erased(shots: Shots) -> None:
    old, new = exports()
    third = ("third.jpg", of_shot(reexported(reexported(photos_with("grace", 1)[0][1])), 1))
    earlier, later = shots.add(old, new)
    shots.decide(later, "replace")
    shots.world.work()
    (last,) = shots.add(third)
    assert shots.undecided() == [last]
    shots.decide(last, "replace")
    shots.world.work()
    assert shots.original(earlier) == third[1]
    shots.assert_blobs_are_known()
    assert len(shots.replaced()) == 2
    with shots.app.app_context(), unit_of_work():
        photo_erasure.erase_photo(db.session.scalars(select(Photo).where(is_there())).one(), None)
    shots.world.work()
    assert shots.replaced() == {}
    with shots.app.app_context():
        assert list(blobs.store().keys(f"events/{shots.event_id}/photos/")) == []


def test_a_removal_that_comes_late_leaves_the_file_that_was_taken_over(shots: Shots) -> None:
    old, new = exports()
    earlier, later = shots.add(old, new)
    shots.decide(later, "replace")
    shots.world.work()
    with shots.app.app_context():
        prefix = blobs.photo_key(shots.event_id, later, "")
        blobs.store().put(prefix + "former.jpg", io.BytesIO(b"of a worker that was late"))
        with unit_of_work():
            deletion_outbox.remove_blobs_below(shots.event_id, prefix)
            deletion_outbox.remove_blobs(shots.event_id, [f"{prefix}original.jpg"])
    shots.world.work()
    assert shots.original(earlier) == new[1]
    shots.assert_blobs_are_known()


def test_the_ledger_and_duplicates_name_the_photo_that_stays(shots: Shots) -> None:
    old, new = exports()
    earlier, later = shots.add(old, new)
    shots.decide(later, "replace")
    with shots.app.app_context():
        photo = db.session.scalars(select(Photo).where(is_there())).one()
        assert set(db.session.scalars(select(Upload.photo_id))) == {photo.id}
    assert shots.add(new) == [earlier], "its bytes are there already"
    (again,) = shots.add(old)
    assert shots.undecided() == [again], "the old file is another one now"


def test_what_a_worker_has_is_left_alone(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    for busy in (earlier, later):
        with shots.app.app_context(), unit_of_work():
            db.session.execute(update(Photo).values(status=PhotoStatus.INDEXED))
            db.session.execute(update(Photo).where(Photo.public_id == busy).values(status=PhotoStatus.INDEXING))
        answer = shots.decide(later, "replace")
        assert answer.status_code == 409 and "still being worked on" in text(answer)
    assert shots.names() == {earlier: "old1.jpg", later: "new1.jpg"}
    assert shots.decide(earlier, "replace").status_code == 409
    assert shots.decide(later, "burn").status_code == 422
    assert shots.decide("nothing", "replace").status_code == 404


def test_no_good_photo_goes_for_one_that_has_failed(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    with shots.app.app_context(), unit_of_work():
        gone = db.session.scalars(select(Photo).where(Photo.public_id == later)).one()
        gone.status, gone.failure_reason = PhotoStatus.FAILED, "blob_missing"
    answer = shots.decide(later, "replace")
    assert answer.status_code == 409 and "the old one stays" in text(answer)
    assert shots.names() == {earlier: "old1.jpg", later: "new1.jpg"} and shots.undecided() == [later]
    assert shots.original(earlier) == exports()[0][1]
    assert shots.decide(later, "both").status_code == 303


def test_of_many_who_decide_at_once_one_does(shots: Shots) -> None:
    earlier, later = shots.add(*exports())

    def decide() -> str:
        with unit_of_work():
            event = db.session.scalars(select(Event)).one()
            owner = db.session.scalars(select(User).where(User.email == OWNER)).one()
            try:
                same_shot.decide(photo_grid.photo_of(event, later), Decision.REPLACE, owner)
            except (Conflict, NotFound) as error:
                return error.code
        return "replaced"

    answers = at_once(*[inside(shots.app, decide)] * 4)
    assert answers.count("replaced") == 1 and set(answers) <= {"replaced", "not_same_shot", "photo_unknown"}
    shots.world.work()
    assert shots.names() == {earlier: "new1.jpg"}


def test_all_of_a_view_are_replaced_after_a_question(shots: Shots) -> None:
    pairs = [shots.add(*exports(number)) for number in (1, 2)]
    view = f"{shots.path}?state=same-shot"
    page = text(shots.owner.get(view))
    assert page.count("There before") == 2 and "Replace all" in page
    path, form = f"{shots.path}/same-shot", {"decision": "replace", "state": "same-shot"}
    question = text(shots.owner.submit(path, form, page=view))
    assert "Replace 2 photos?" in question and shots.undecided() == [later for _, later in pairs]
    up_to = re.findall(r'name="up_to" value="(\d+)"', question)[0]
    answer = shots.owner.submit(path, form | {"confirmed": "2", "up_to": up_to}, page=view)
    assert answer.status_code == 303
    assert "Replaced 2 photos." in text(shots.owner.get(answer.location))
    shots.world.work()
    assert shots.names() == {pairs[0][0]: "new1.jpg", pairs[1][0]: "new2.jpg"}
    again = shots.owner.submit(path, form | {"confirmed": "2", "up_to": up_to}, page=shots.path)
    assert "nothing to decide" in text(shots.owner.get(again.location))


def test_all_of_a_view_are_kept(shots: Shots) -> None:
    for number in (1, 2):
        shots.add(*exports(number))
    path, form = f"{shots.path}/same-shot", {"decision": "both"}
    question = text(shots.owner.submit(path, form, page=shots.path))
    assert "Keep 2 shots twice?" in question
    up_to = re.findall(r'name="up_to" value="(\d+)"', question)[0]
    shots.owner.submit(path, form | {"confirmed": "2", "up_to": up_to}, page=shots.path)
    assert shots.undecided() == [] and len(shots.names()) == 4


def test_what_one_request_has_no_time_for_is_said_to_be_left(shots: Shots, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        shots.add(*exports(number))
    monkeypatch.setattr(same_shot, "SECONDS", 0)
    path, form = f"{shots.path}/same-shot", {"decision": "replace", "confirmed": "2", "up_to": "999999999"}
    answer = shots.owner.submit(path, form, page=shots.path)
    assert "Replaced 1 photo. 1 is left" in text(shots.owner.get(answer.location))
    assert len(shots.undecided()) == 1


def test_a_decision_in_the_list_takes_its_pair_away(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    answer = shots.decide(later, "replace", htmx=True, state="same-shot")
    assert answer.status_code == 200 and "Replaced 1 photo." in text(answer)
    assert f'<li id="shot-{later}" hx-swap-oob="delete">' in answer.text and 'id="states"' in answer.text
    with_htmx = shots.owner.get(f"{shots.path}?state=same-shot", headers=HTMX)
    assert with_htmx.status_code == 200 and earlier not in with_htmx.text


def test_no_browser_shows_the_former_picture(shots: Shots) -> None:
    """A browser keeps a picture for an hour, by its address: with other bytes the address is another one."""
    earlier, later = shots.add(*exports())
    shots.say(earlier, "confirmed")
    ada = Browser(shots.app).sign_in("ada", PASSWORD)

    def addresses() -> set[str]:
        pages = [ada.get("/e/PARTY234/photos"), shots.owner.get(shots.path), shots.owner.get(f"{shots.path}/{earlier}")]
        pages.append(ada.get(f"/e/PARTY234/photos/{earlier}"))
        found = [re.findall(rf'/media/photos/{earlier}/[^" ]+', text(page)) for page in pages]
        assert all(found)
        return {address for some in found for address in some}

    before = addresses()
    shots.decide(later, "replace")
    shots.world.work()
    assert addresses().isdisjoint(before)


def test_of_a_shot_whose_earlier_photo_is_being_erased_there_is_nothing_to_decide(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    with shots.app.app_context(), unit_of_work():
        db.session.execute(update(Photo).where(Photo.public_id == earlier).values(status=PhotoStatus.ERASING))
    assert shots.decide(later, "replace").status_code == 409
    assert "Replace the old one" not in text(shots.owner.get(f"{shots.path}/{later}"))
    assert shots.owner.get(f"{shots.path}?state=same-shot").status_code == 200
    with shots.app.app_context():
        kinds = select(func.count()).select_from(Rendition).where(Rendition.kind == RenditionKind.ORIGINAL)
        assert db.session.scalar(kinds) == 2
        assert db.session.scalar(select(func.count()).where(Match.verdict != Verdict.NONE)) == 0
