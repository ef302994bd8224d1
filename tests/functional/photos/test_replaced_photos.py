"""What counts as another export of one shot, and what becomes of a photo that was replaced by one."""

import io
import re

import numpy as np
import pytest
from flask import Flask
from PIL import ExifTags, Image
from sqlalchemy import select, update

from tests.support import faces
from tests.support.actors import PASSWORD, Api, World, photos_with, photos_without
from tests.support.browsing import Browser, text
from tests.support.crowd import user_of
from tests.support.reindexing import jpeg, reexported
from tests.support.shots import OWNER, Shots, exports, graded, of_shot, set_up
from webapp.db.extensions import db
from webapp.faces.core.protocols import Box
from webapp.models import Event, Face, FaceVector, KeptVerdict, Match, Photo
from webapp.queueing import unit_of_work
from webapp.services.core import blobs
from webapp.services.erasure import bulk, photo_erasure, selfie_erasure
from webapp.services.events import covers
from webapp.services.photos import cameras, photo_actions
from webapp.services.photos.likeness import frame_of
from webapp.services.photos.photo_actions import Action
from webapp.services.photos.photo_filter import PhotoFilter
from webapp.services.queries import timeline

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
        came, size = timeline.photos_by_minute(shots.event())
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
        photo_erasure.erase_photo(db.session.scalars(select(Photo).where(Photo.public_id == former)).one(), None)
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


@pytest.mark.parametrize("at_once", [bulk.AT_ONCE, 0])
def test_deleting_the_photo_that_stays_deletes_what_it_replaced(
    shots: Shots, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", at_once)
    replaced_pair(shots)
    with shots.app.app_context(), unit_of_work():
        photo_actions.carry_out(
            shots.event(), Action.DELETE, photo_actions.Selection(wanted=PhotoFilter()), user_of(OWNER)
        )
    assert shots.replaced() == {}
    shots.world.work()
    with shots.app.app_context():
        assert db.session.scalars(select(Photo)).all() == []
        assert list(blobs.store().keys(f"events/{shots.event_id}/photos/")) == []


@pytest.mark.parametrize("action", [Action.HIDE, Action.UNPUBLISH])
def test_what_was_hidden_meanwhile_is_not_shown_by_bringing_back(shots: Shots, action: Action) -> None:
    _, former = replaced_pair(shots)
    with shots.app.app_context(), unit_of_work():
        everything = photo_actions.Selection(wanted=PhotoFilter())
        photo_actions.carry_out(shots.event(), action, everything, user_of(OWNER))
    shots.bring_back(former)
    shots.world.work()
    assert shots.guest.photo_ids() == []


@pytest.mark.parametrize("of_later", [False, True])
def test_a_cover_goes_with_the_picture_that_is_replaced(shots: Shots, of_later: bool) -> None:
    earlier, later = shots.add(*exports())
    with shots.app.app_context():
        covers.set_photo(shots.event(), later if of_later else earlier, user_of(OWNER))
    shots.decide(later, "replace")
    shots.world.work()
    with shots.app.app_context():
        assert shots.event().cover_key is None
        assert list(blobs.store().keys(f"events/{shots.event_id}/cover/")) == []


def test_in_a_chain_each_picture_keeps_what_was_said_of_it(shots: Shots) -> None:
    content = photos_with("grace", 1)[0][1]
    (stays,) = shots.add(("a.jpg", of_shot(content, 1)))
    shots.say(stays, "confirmed")
    for name, export in (("b.jpg", reexported(content)), ("c.jpg", graded(content))):
        (later,) = shots.add((name, of_shot(export, 1)))
        shots.decide(later, "replace")
        shots.world.work()
    former = {name: photo_id for photo_id, name in shots.replaced().items()}
    for name in ("b.jpg", "a.jpg"):
        shots.bring_back(former[name])
        shots.world.work()
    verdicts = {photo: verdict for photo, _, verdict in shots.said()}
    assert [photo for photo, verdict in verdicts.items() if verdict == "confirmed"] == [former["a.jpg"]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("wedding (1).jpg", "wedding (2).jpg"),
        ("IMG_0101_1.jpg", "IMG_0101_2.jpg"),
        ("DSC_0101-1.jpg", "DSC_0101-2.jpg"),
        ("20260620_183005.jpg", "20260620_183005(0).jpg"),
    ],
)
def test_frames_that_are_counted_through_are_never_offered(shots: Shots, one: str, other: str) -> None:
    content = photos_with("grace", 1)[0][1]
    shots.add((one, without_fractions(content)), (other, without_fractions(reexported(content))))
    assert shots.undecided() == []


def test_the_same_scene_with_another_face_is_never_offered(shots: Shots) -> None:
    """The picture hardly differs where the face does not count; a guest's verdict must not move to a stranger."""
    content = photos_with("grace", 1)[0][1]
    first, _ = shots.add(("a.jpg", of_shot(content, 1)), ("b.jpg", of_shot(with_face_of("eileen", content), 1)))
    assert shots.undecided() == []
    assert shots.guest.photo_ids() == [first]


def test_a_store_that_is_away_dissolves_no_pair(shots: Shots) -> None:
    _, later = shots.add(*exports())
    with shots.app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(pixel_hash=None))
    folder = shots.app.extensions["settings"].blobs_dir
    folder.rename(folder.with_name("away"))
    folder.touch()  # every access fails, as with a disk that was unmounted
    try:
        shots.decide(later, "replace")
    finally:
        folder.unlink()
        folder.with_name("away").rename(folder)
    assert shots.undecided() == [later]


def test_the_clocks_report_counts_no_replaced_photo(shots: Shots) -> None:
    replaced_pair(shots)
    with shots.app.app_context(), unit_of_work():
        (clock,) = cameras.clocks_of(shots.event())
        moved = cameras.set_offset(shots.event(), clock.camera.public_id, 60, user_of(OWNER))
        assert (clock.photos, moved) == (1, 1)


def without_fractions(content: bytes) -> bytes:
    """The picture by a camera that writes whole seconds only."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon", "R6"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:06:20 18:30:05"
    target = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(target, "JPEG", quality=92, exif=exif)
    return target.getvalue()


def with_face_of(person: str, content: bytes) -> bytes:
    """The picture with somebody else's face in the place of its largest one."""
    stranger = next(
        picture for _, picture in photos_with(person, 30) if picture not in dict(photos_with("grace", 30)).values()
    )
    here, there = (_largest_face(picture) for picture in (content, stranger))
    with Image.open(io.BytesIO(content)) as image, Image.open(io.BytesIO(stranger)) as other:
        mixed = image.convert("RGB")
        left, top, right, bottom = _grown(here, mixed)
        mixed.paste(other.convert("RGB").crop(_grown(there, other)).resize((right - left, bottom - top)), (left, top))
    return jpeg(mixed, quality=93)


def _largest_face(content: bytes) -> Box:
    with Image.open(io.BytesIO(content)) as image:
        found = faces.analyzer().photo_faces(np.asarray(image.convert("RGB")), None)
    return max(found, key=lambda face: face.box.width).box


def _grown(box: Box, image: Image.Image) -> tuple[int, int, int, int]:
    """A third more than the face on each side, in pixels."""
    across, down = 0.35 * box.width, 0.35 * box.height
    return (
        int((box.x - across) * image.width),
        int((box.y - down) * image.height),
        int((box.x + box.width + across) * image.width),
        int((box.y + box.height + down) * image.height),
    )


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
        selfie_erasure.erase_selfies(match.person)
    with shots.app.app_context():
        assert db.session.scalars(select(KeptVerdict)).all() == []


def test_only_who_runs_the_event_brings_back(shots: Shots) -> None:
    _, former = replaced_pair(shots)
    ada = Browser(shots.app).sign_in("ada", PASSWORD)
    assert ada.get(f"{shots.path}/replaced").status_code in (403, 404)
    found = re.findall(rf"replaced/{former}", shots.owner.get(f"{shots.path}/replaced").text)
    assert len(found) == 1
