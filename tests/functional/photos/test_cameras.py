"""When photos were taken: the event's timezone, cameras whose clocks are off, and exports of the same shot."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from PIL import ExifTags, Image
from sqlalchemy import select

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser, text
from tests.support.reindexing import index_again
from webapp.db.extensions import db
from webapp.models import Camera, Event, Photo
from webapp.queueing import unit_of_work
from webapp.services.events import capture_times
from webapp.services.photos import cameras

pytestmark = pytest.mark.both_databases


def shot(name: str, time: str, *, shade: int = 90, model: str = "R6", serial: str = "1", **inner: str):  # type: ignore[no-untyped-def]
    """A file as a camera writes it. inner: further tags by their names; shade makes other bytes of it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon", model
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, value in {"DateTimeOriginal": time, "BodySerialNumber": serial, **inner}.items():
        detail[ExifTags.Base[tag]] = value
    target = io.BytesIO()
    Image.new("RGB", (120, 80), (shade, shade, shade)).save(target, "JPEG", exif=exif)
    return name, target.getvalue()


def put(world: World, *files: tuple[str, bytes], timezone: str = "Europe/Paris") -> str:
    event_id = world.event()
    with world.app.app_context(), unit_of_work():
        db.session.scalars(select(Event)).one().timezone = timezone
    world.add_photos(event_id, *files)
    world.work()
    return event_id


def times(app: Flask) -> dict[str, str]:
    """When each photo was taken, in UTC, by its name; its place in galleries is the same moment."""
    with app.app_context():
        photos = db.session.scalars(select(Photo)).all()
        assert all(photo.sorted_at == photo.taken_at for photo in photos if photo.taken_at)
        return {photo.filename: photo.taken_at.strftime("%H:%M:%S.%f")[:12] for photo in photos if photo.taken_at}


def same_shots(app: Flask) -> dict[str, str]:
    with app.app_context():
        names = dict(db.session.execute(select(Photo.id, Photo.filename)).all())
        rows = db.session.execute(
            select(Photo.filename, Photo.same_shot_as_id).where(Photo.same_shot_as_id.is_not(None))
        )
        return {name: names[other] for name, other in rows}


def test_a_clock_without_a_zone_shows_the_events_time(world: World, app: Flask) -> None:
    put(
        world,
        shot("a.jpg", "2026:06:20 18:30:05", SubsecTimeOriginal="12"),
        shot("b.jpg", "2026:06:20 18:30:05", OffsetTimeOriginal="+00:00", shade=50),
    )
    assert times(app) == {"a.jpg": "16:30:05.120", "b.jpg": "18:30:05.000"}


def test_a_cameras_clock_is_set_on_its_page_and_moves_its_photos_alone(world: World, app: Flask) -> None:
    event_id = put(
        world,
        shot("a.jpg", "2026:06:20 18:30:05", SubsecTimeOriginal="007"),
        shot("b.jpg", "2026:06:20 18:31:00", serial="2", shade=50),
    )
    owner = Browser(app).sign_in("photographer@example.com", PASSWORD)
    page = f"/studio/events/{event_id}/cameras"
    assert text(owner.get(page)).count("Canon R6") >= 2
    with app.app_context():
        photo = db.session.scalars(select(Photo).where(Photo.filename == "a.jpg")).one()
        camera_id = db.session.get_one(Camera, photo.camera_id).public_id
    for _ in range(2):  # saying it twice is saying it once
        form = {"way": "behind", "hours": "1", "minutes": "3", "seconds": "0"}
        assert owner.submit(f"{page}/{camera_id}", form, page=page).status_code == 303
        assert times(app) == {"a.jpg": "17:33:05.007", "b.jpg": "16:31:00.000"}
    assert "2026-06-20 19:33:05" in owner.get(page).text
    world.add_photos(event_id, shot("c.jpg", "2026:06:20 18:30:06", shade=20))
    world.work()
    assert times(app)["c.jpg"] == "17:33:06.000"
    ahead = {"way": "ahead", "hours": "0", "minutes": "0", "seconds": "6"}
    assert owner.submit(f"{page}/{camera_id}", ahead, page=page).status_code == 303
    assert times(app)["a.jpg"] == "16:29:59.007"
    assert owner.submit(f"{page}/{camera_id}", {"way": "behind", "minutes": "99"}, page=page).status_code == 422
    assert owner.submit(f"{page}/nothing", ahead, page=page).status_code == 404


def test_another_timezone_reckons_all_times_anew(world: World, app: Flask) -> None:
    put(world, shot("a.jpg", "2026:06:20 18:30:05"), shot("b.jpg", "2026:12:20 18:30:05", shade=40))
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        event.timezone = "America/New_York"
        db.session.flush()
        assert capture_times.timezone_changed(event) == 2
    assert times(app) == {"a.jpg": "22:30:05.000", "b.jpg": "23:30:05.000"}


def test_no_serial_number_is_kept(world: World, app: Flask) -> None:
    put(world, shot("a.jpg", "2026:06:20 18:30:05", serial="SERIAL-4711"))
    with app.app_context():
        camera = db.session.scalars(select(Camera)).one()
        assert camera.name == "Canon R6" and "4711" not in camera.key + camera.name


def test_a_re_export_points_at_the_earlier_photo(world: World, app: Flask) -> None:
    time = "2026:06:20 18:30:05"
    event_id = put(
        world,
        shot("IMG_1234.jpg", time, SubsecTimeOriginal="12"),
        shot("renamed.jpg", time, SubsecTimeOriginal="12", shade=91),
        shot("IMG_1235.jpg", time, SubsecTimeOriginal="22", shade=92),
        shot("DSC_0007.jpg", time, serial="2", shade=93),
        shot("DSC_0007-Edit (1).jpg", time, serial="2", shade=94),
        shot("DSC_0008.jpg", time, serial="2", shade=95),
    )
    expected = {"renamed.jpg": "IMG_1234.jpg", "DSC_0007-Edit (1).jpg": "DSC_0007.jpg"}
    assert same_shots(app) == expected
    # Both were kept: nobody asks again, however often the photo is indexed.
    with app.app_context(), unit_of_work():
        photo = db.session.scalars(select(Photo).where(Photo.filename == "renamed.jpg")).one()
        photo.same_shot_as_id, photo_id = None, photo.public_id
    index_again(app, world, photo_id)
    assert same_shots(app) == {"DSC_0007-Edit (1).jpg": "DSC_0007.jpg"} and event_id


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("IMG_1234.jpg", "img_1234-2.JPG", True),
        ("IMG_1234.jpg", "IMG_1234_edited copy.jpg", True),
        ("IMG_20260620_183005_BURST001.jpg", "IMG_20260620_183005_BURST002.jpg", False),
        ("Wedding-045.jpg", "Wedding-046.jpg", False),
        ("20260620-12.jpg", "20260620-13.jpg", False),
    ],
)
def test_names_tell_shots_of_one_second_apart(one: str, other: str, same: bool) -> None:
    moment = datetime(2026, 6, 20, 18, 30, 5, tzinfo=UTC)
    assert (cameras.shot_key("k", moment, one) == cameras.shot_key("k", moment, other)) is same
    later = moment + timedelta(milliseconds=10)
    assert cameras.shot_key("k", later, one) == cameras.shot_key("k", later, other)
