"""What counts as another export of one shot, and what becomes of a photo that was replaced by one."""

import re

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.actors import PASSWORD, Api, World, photos_with, photos_without
from tests.browsing import Browser, text
from tests.reindexing import reexported
from tests.shots import Shots, exports, graded, of_shot, set_up
from webapp.extensions import db
from webapp.models import Event, Face, FaceVector, KeptVerdict, Match, Photo
from webapp.queueing import unit_of_work
from webapp.services import blobs, erasing, selfie_erasing, statistics
from webapp.services.likeness import frame_of

pytestmark = pytest.mark.both_databases


@pytest.fixture
def shots(app: Flask, world: World, api: Api) -> Shots:
    return set_up(app, world, api)


def pictures() -> tuple[bytes, bytes]:
    """Two different pictures that a camera could have taken within one hundredth of a second."""
    return of_shot(photos_with("grace", 1)[0][1], 7), of_shot(photos_without("grace", 1)[0][1], 7)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DSC_0101.jpg", "DSC_0102.jpg"),
        ("_DSC0101.jpg", "2026-06-20_DSC_0102-edit.jpg"),
        ("DSC01234.JPG", "DSC01235.JPG"),
        ("3H0A1234.jpg", "3H0A1235 (1).jpg"),
        ("smith-wedding-001.jpg", "smith-wedding-002.jpg"),
        ("20260620_183005.jpg", "20260620_183006.jpg"),
    ],
)
def test_another_frame_number_is_another_shot(one: str, other: str) -> None:
    frames = frame_of(one), frame_of(other)
    assert None not in frames and frames[0] != frames[1]
    assert frames[0] is not None and frames[1] is not None and frames[0][0] == frames[1][0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DSC_0101.jpg", "DSC_0101-2.jpg"),
        ("DSC_0101.jpg", "DSC_0101_edit.jpg"),
        ("DSC_0101.jpg", "smith_DSC_0101 copy 2.jpg"),
        ("IMG_0101.HEIC", "IMG_E0101.jpg"),
    ],
)
def test_an_edited_export_keeps_its_number(one: str, other: str) -> None:
    first, second = frame_of(one), frame_of(other)
    assert first is not None and second is not None and first[1] == second[1]


def test_an_editors_number_says_nothing_beside_a_cameras() -> None:
    first, second = frame_of("DSC_0101.jpg"), frame_of("smith-wedding-001.jpg")
    assert first is not None and second is not None and first[0] != second[0]
    assert frame_of("portrait.jpg") is None


def test_frames_of_a_burst_are_never_offered(shots: Shots) -> None:
    """Not even where the two look alike: the numbers say that they are two."""
    content = photos_with("grace", 1)[0][1]
    shots.add(("DSC_0101.jpg", of_shot(content, 7)), ("DSC_0102.jpg", of_shot(reexported(content), 7)))
    assert shots.undecided() == []


@pytest.mark.parametrize("name", ["DSC_0101-2.jpg", "smith-wedding-001.jpg", "portrait.jpg"])
def test_another_picture_of_the_same_moment_is_never_offered(shots: Shots, name: str) -> None:
    one, other = pictures()
    shots.add(("DSC_0101.jpg", one), (name, other))
    assert shots.undecided() == []


@pytest.mark.parametrize("name", ["DSC_0101-2.jpg", "DSC_0101_edit.jpg", "smith-wedding-001.jpg", "portrait.jpg"])
def test_an_edited_export_is_offered(shots: Shots, name: str) -> None:
    content = photos_with("grace", 1)[0][1]
    _, later = shots.add(("DSC_0101.jpg", of_shot(content, 7)), (name, of_shot(graded(content), 7)))
    assert shots.undecided() == [later]


def test_the_export_is_found_among_other_pictures_of_its_moment(shots: Shots) -> None:
    one, other = pictures()
    first, second, third = shots.add(("a.jpg", one), ("b.jpg", other), ("c.jpg", of_shot(graded(other), 7)))
    assert shots.undecided() == [third]
    assert shots.decide(third, "replace").status_code == 303
    shots.world.work()
    assert shots.names() == {first: "a.jpg", second: "c.jpg"}


def test_photos_of_former_versions_are_compared_by_their_thumbnails(shots: Shots) -> None:
    old, new = exports()
    shots.add(old)
    with shots.app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(pixel_hash=None))
    (later,) = shots.add(new)
    assert shots.undecided() == [later]


def paired_by_time_alone(shots: Shots) -> tuple[str, str]:
    """A pair of different pictures, as former versions found it."""
    one, other = pictures()
    earlier, later = shots.add(("a.jpg", one), ("b.jpg", other))
    with shots.app.app_context(), unit_of_work():
        first = select(Photo.id).where(Photo.public_id == earlier).scalar_subquery()
        db.session.execute(update(Photo).values(pixel_hash=None))
        db.session.execute(update(Photo).where(Photo.public_id == later).values(same_shot_as_id=first))
    return earlier, later


def test_a_wrong_pair_of_a_former_version_is_not_replaced(shots: Shots) -> None:
    earlier, later = paired_by_time_alone(shots)
    answer = shots.decide(later, "replace")
    assert "1 is another shot: both photos stay." in text(shots.owner.get(answer.location))
    assert shots.names() == {earlier: "a.jpg", later: "b.jpg"} and shots.undecided() == []


def test_replace_all_leaves_wrong_pairs_of_former_versions(shots: Shots) -> None:
    earlier, later = paired_by_time_alone(shots)
    form = {"decision": "replace", "confirmed": "1", "up_to": "999999999"}
    answer = shots.owner.submit(f"{shots.path}/same-shot", form, page=shots.path)
    said = text(shots.owner.get(answer.location))
    assert "1 is another shot: both photos stay." in said and "Replaced" not in said
    assert shots.names() == {earlier: "a.jpg", later: "b.jpg"} and shots.undecided() == []


def replaced_pair(shots: Shots) -> tuple[str, str]:
    """Replace a photo; returns the ids of the one that stays, and of the one that was replaced."""
    earlier, later = shots.add(*exports())
    shots.decide(later, "replace")
    shots.world.work()
    (former,) = shots.replaced()
    return earlier, former


def test_a_replaced_photo_is_hidden_from_everyone_and_listed_with_its_day(shots: Shots) -> None:
    earlier, former = replaced_pair(shots)
    assert shots.guest.photo_ids() == [earlier]
    ada = Browser(shots.app).sign_in("ada", PASSWORD)
    assert former not in ada.get("/e/PARTY234/photos").text
    for size in ("thumbnail", "preview", "original"):
        assert ada.get(f"/media/photos/{former}/{size}").status_code == 404
    grid = text(shots.owner.get(shots.path))
    assert former not in grid and "1 replaced photo can still be brought back" in grid
    assert shots.owner.get(f"{shots.path}/{former}").status_code == 404
    assert former not in shots.owner.get(f"/studio/events/{shots.event_id}").text
    page = text(shots.owner.get(f"{shots.path}/replaced"))
    assert "old1.jpg" in page and "Erased on" in page and "Bring back" in page
    with shots.owner.get(f"/media/photos/{former}/thumbnail") as thumbnail:
        assert thumbnail.status_code == 200
    assert shots.original(former) == exports()[0][1]
    with shots.app.app_context():
        hidden = select(Photo.id).where(Photo.public_id == former)
        assert db.session.scalars(select(Match).where(Match.photo_id.in_(hidden))).all() == []
        assert db.session.scalars(select(FaceVector).join(Face).where(Face.photo_id.in_(hidden))).all() == []
        assert db.session.scalars(select(Event)).one() is not None
        came, size = statistics.photos_by_minute(shots.event())
        assert sum(count for _, count in came) == 1
        assert size == db.session.scalar(select(Photo.byte_size).where(Photo.public_id == earlier))


@pytest.mark.parametrize("verdict", ["confirmed", "rejected"])
def test_a_photo_that_is_brought_back_is_there_again_with_what_was_said(shots: Shots, verdict: str) -> None:
    earlier, later = shots.add(*exports())
    shots.say(earlier, verdict)
    shots.decide(later, "replace")
    shots.world.work()
    (former,) = shots.replaced()
    answer = shots.bring_back(former)
    assert answer.status_code == 303 and "old1.jpg is back." in text(shots.owner.get(answer.location))
    shots.world.work()
    assert shots.replaced() == {} and shots.undecided() == []
    assert shots.names() == {earlier: "new1.jpg", former: "old1.jpg"}
    assert (shots.original(earlier), shots.original(former)) == (exports()[1][1], exports()[0][1])
    said = {photo_id: word for photo_id, _, word in shots.said()}
    assert said == {former: verdict, earlier: "none"}
    assert sorted(shots.guest.photo_ids()) == sorted({earlier, former} if verdict == "confirmed" else {earlier})
    shots.assert_blobs_are_known()
    assert shots.bring_back(former).status_code == 409


def test_what_was_said_since_stays_with_the_photo_that_it_was_said_of(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    shots.say(earlier, "confirmed")
    shots.decide(later, "replace")
    shots.world.work()
    shots.say(earlier, "rejected")
    (former,) = shots.replaced()
    shots.bring_back(former)
    shots.world.work()
    assert {photo_id: word for photo_id, _, word in shots.said()} == {former: "confirmed", earlier: "rejected"}


def test_the_pictures_of_the_two_are_not_mixed_up(shots: Shots) -> None:
    """Renditions of one photo may lie below another one's prefix."""
    content = photos_with("grace", 1)[0][1]
    grey = ("grey.jpg", of_shot(graded(content), 1))
    earlier, later = shots.add(("colour.jpg", of_shot(content, 1)), grey)

    def thumbnail(photo_id: str) -> bytes:
        with shots.owner.get(f"/media/photos/{photo_id}/thumbnail") as answer:
            return answer.data

    colour, bleak = thumbnail(earlier), thumbnail(later)
    assert colour != bleak
    shots.decide(later, "replace")
    shots.world.work()
    (former,) = shots.replaced()
    assert (thumbnail(earlier), thumbnail(former)) == (bleak, colour)
    shots.bring_back(former)
    shots.world.work()
    assert (thumbnail(earlier), thumbnail(former)) == (bleak, colour)
    with shots.app.app_context(), unit_of_work():
        erasing.erase_photo(db.session.scalars(select(Photo).where(Photo.public_id == former)).one(), None)
    shots.world.work()
    assert thumbnail(earlier) == bleak
    shots.assert_blobs_are_known()


def test_after_seven_days_a_replaced_photo_is_erased(shots: Shots) -> None:
    earlier, former = replaced_pair(shots)
    shots.let_days_pass(6.9)
    assert list(shots.replaced()) == [former]
    shots.let_days_pass(0.2)
    assert shots.replaced() == {} and shots.names() == {earlier: "new1.jpg"}
    shots.assert_blobs_are_known()
    assert shots.original(earlier) == exports()[1][1]
    assert shots.owner.get(f"/media/photos/{former}/original").status_code == 404
    with shots.app.app_context():
        assert len(list(blobs.store().keys(f"events/{shots.event_id}/photos/"))) == 3
        assert db.session.scalars(select(KeptVerdict)).all() == []
    assert shots.bring_back(former).status_code == 409


def test_a_replaced_photo_outlives_the_one_that_took_its_place(shots: Shots) -> None:
    earlier, former = replaced_pair(shots)
    with shots.app.app_context(), unit_of_work():
        erasing.erase_photo(db.session.scalars(select(Photo).where(Photo.public_id == earlier)).one(), None)
    shots.world.work()
    shots.bring_back(former)
    shots.world.work()
    assert shots.names() == {former: "old1.jpg"} and shots.guest.photo_ids() == [former]
    assert shots.original(former) == exports()[0][1]


def test_a_file_that_came_in_again_is_not_brought_back_beside_itself(shots: Shots) -> None:
    earlier, former = replaced_pair(shots)
    (again,) = shots.add(exports()[0])
    answer = shots.bring_back(former)
    assert answer.status_code == 409 and "handed in again" in text(answer)
    assert shots.names() == {earlier: "new1.jpg", again: "old1.jpg"} and list(shots.replaced()) == [former]


def test_who_withdraws_leaves_nothing_with_a_replaced_photo(shots: Shots) -> None:
    earlier, later = shots.add(*exports())
    shots.say(earlier, "confirmed")
    shots.decide(later, "replace")
    shots.world.work()
    with shots.app.app_context(), unit_of_work():
        match = db.session.scalars(select(Match)).first()
        assert match is not None and db.session.scalars(select(KeptVerdict)).one().person_id == match.person_id
        selfie_erasing.erase_selfies(match.person)
    with shots.app.app_context():
        assert db.session.scalars(select(KeptVerdict)).all() == []


def test_only_who_runs_the_event_brings_back(shots: Shots) -> None:
    _, former = replaced_pair(shots)
    ada = Browser(shots.app).sign_in("ada", PASSWORD)
    assert ada.get(f"{shots.path}/replaced").status_code in (403, 404)
    found = re.findall(rf"replaced/{former}", shots.owner.get(f"{shots.path}/replaced").text)
    assert len(found) == 1
