"""Making and changing events: what they are called, their look, closing, deleting, and how guests hear of them."""

import io
import logging
from typing import IO

import numpy as np
import pypdfium2
import pytest
import zxingcpp
from flask import Flask
from PIL import Image
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, demo_photos, photos_with
from tests.support.browsing import Browser, error_at, text, value_of
from tests.support.crowd import DETAILS
from webapp import accents
from webapp.db.extensions import db
from webapp.models import AuditEntry, Event, EventStatus, Face, FaceVector, Photo, PhotoStatus, UserRole
from webapp.queueing import unit_of_work
from webapp.services.erasure import photo_erasure
from webapp.services.events import events
from webapp.storage.blobs import BlobInfo

OWNER = "photographer@example.com"


def owner(app: Flask) -> Browser:
    return Browser(app).sign_in(OWNER, PASSWORD)


def settings_of(event_id: str) -> str:
    return f"/studio/events/{event_id}/settings"


def event(app: Flask) -> Event:
    with app.app_context():
        return db.session.scalars(select(Event)).one()


def picture(size: tuple[int, int] = (900, 600), kind: str = "JPEG") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, "#aa6633").save(made, kind)
    return made.getvalue()


# --- making and changing ---


def test_an_event_is_made_with_all_that_is_asked(app: Flask, world: World) -> None:
    world.person(OWNER, UserRole.PHOTOGRAPHER)
    form = DETAILS | {"place": "Lyon", "language": "fr", "accent": "own", "own_accent": "#FFEE00"}
    answer = owner(app).submit("/studio/events/new", form)
    assert answer.status_code == 303
    made = event(app)
    assert (made.name, made.place, made.timezone, made.language) == ("Gala", "Lyon", "Europe/Paris", "fr")
    assert made.accent == "#ffee00"
    assert len(made.code) == 8 and set(made.code) <= set(events.CODE_ALPHABET)
    again = owner(app).get("/studio/events/new")
    assert '<option selected value="Europe/Paris">' in again.text


def test_faults_stand_beside_their_fields_and_what_was_typed_stays(app: Flask, world: World) -> None:
    event_id = world.event()
    browser = owner(app)
    wrong = {
        "name": " ",
        "date": "2026-07-01",
        "timezone": "Mars/Base",
        "accent": "own",
        "own_accent": "red",
        "code": "ä",
    }
    answer = browser.submit(settings_of(event_id), wrong)
    assert answer.status_code == 422
    assert error_at(answer, "name")
    answer = browser.submit(settings_of(event_id), wrong | {"name": "Gala"})
    assert all(error_at(answer, name) for name in ("timezone", "accent", "code"))
    assert value_of(answer, "code") == "ä"
    assert event(app).name == "Party"


def test_a_code_is_unique_without_case_and_spaces_and_can_be_changed(app: Flask, world: World) -> None:
    event_id = world.event()
    world.event("OTHER234", owner="rival@example.com")
    browser = owner(app)
    taken = browser.submit(settings_of(event_id), DETAILS | {"code": "other 2-34"})
    assert taken.status_code == 422 and "Another event" in error_at(taken, "code")
    assert browser.submit(settings_of(event_id), DETAILS | {"code": "anna & tom"}).status_code == 422
    assert browser.submit(settings_of(event_id), DETAILS | {"code": "anna tom"}).status_code == 303
    guest = Browser(app)
    assert guest.get("/e/PARTY234").status_code == 404
    assert guest.get("/e/Anna-Tom").status_code == 200


def test_the_events_language_meets_guests_who_have_not_chosen(app: Flask, world: World) -> None:
    event_id = world.event()
    browser = owner(app)
    browser.submit(settings_of(event_id), DETAILS | {"language": "fr", "code": world.code})
    for header in ("", "en", "de"):
        page = Browser(app).get(f"/e/{world.code}", headers={"Accept-Language": header})
        assert '<html lang="fr">' in page.text
    chosen = Browser(app)
    chosen.submit("/language", {"language": "en"}, page="/")
    assert '<html lang="en">' in chosen.get(f"/e/{world.code}").text
    assert '<html lang="en">' in Browser(app).get("/", headers={"Accept-Language": "en"}).text


# --- the look ---


@pytest.mark.parametrize(
    "colour", ["#ffee00", "#000000", "#ffffff", "#808080", "#ff0000", "#145f5c", "#00ff00", "#0000ff"]
)
def test_any_colour_can_be_read_in_both_themes(colour: str) -> None:
    light, dark = accents.light(colour), accents.dark(colour)
    for shades, grounds, upon in (
        (light, ("#fbfaf7", "#ffffff", "#f2efe9"), "#ffffff"),
        (dark, ("#131211", "#1d1b19", "#0c0b0a"), "#0d1413"),
    ):
        for ground in (*grounds, shades.soft):
            assert accents.contrast(shades.accent, ground) >= 4.5
        assert accents.contrast(shades.accent, upon) >= 4.5
        assert accents.contrast(shades.strong, upon) >= 4.5
    assert accents.contrast(accents.cover(colour), "#ffffff") >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert accents.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert accents.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_an_own_colour_has_a_sheet_and_the_page_asks_for_it(app: Flask, world: World) -> None:
    event_id = world.event()
    owner(app).submit(settings_of(event_id), DETAILS | {"accent": "own", "own_accent": "#c0ffee", "code": world.code})
    page = Browser(app).get(f"/e/{world.code}")
    assert 'data-accent="c-c0ffee"' in page.text and "/accents/c0ffee.css" in page.text
    assert "/accents/c0ffee.css" in owner(app).get("/studio/").text
    sheet = app.test_client().get("/accents/c0ffee-123456.css")
    assert '[data-accent="c-c0ffee"]' in sheet.text and '[data-accent="c-123456"]' in sheet.text
    for wrong in ("red", "c0ffe", "c0ffee;", "C0FFEE", "-".join(["123456"] * 61)):
        assert app.test_client().get(f"/accents/{wrong}.css").status_code == 404


def test_a_cover_is_shown_to_whoever_knows_the_code_and_replaced_without_leftovers(app: Flask, world: World) -> None:
    event_id = world.event()
    browser, at = owner(app), f"{settings_of(event_id)}/cover"
    for kind in ("JPEG", "PNG"):
        data = {"file": (io.BytesIO(picture((3000, 2000), kind)), "cover")}
        assert browser.submit(at, data, page=settings_of(event_id)).status_code == 303
    world.work()
    guest = Browser(app)
    assert "/cover.jpg?v=" in guest.get(f"/e/{world.code}").text
    shown = guest.get(f"/e/{world.code}/cover.jpg")
    assert shown.mimetype == "image/jpeg"
    assert max(Image.open(io.BytesIO(shown.data)).size) == 1600
    small = guest.get(f"/e/{world.code}/cover.jpg?size=small")
    assert (small.mimetype, max(Image.open(io.BytesIO(small.data)).size)) == ("image/webp", 900)
    with app.app_context():
        store = app.extensions["blobs"]
        assert store.info(event(app).cover_key)
    folder = app.extensions["settings"].data_dir
    assert len(list(folder.rglob("cover/*"))) == 2
    assert browser.submit(at, {"remove": "y"}, page=settings_of(event_id)).status_code == 303
    world.work()
    assert guest.get(f"/e/{world.code}/cover.jpg").status_code == 404
    assert list(folder.rglob("cover/*")) == []


def test_a_cover_for_phones_is_light_whatever_it_shows(app: Flask, world: World) -> None:
    event_id = world.event()
    noise = io.BytesIO()
    pixels = np.random.default_rng(7).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(noise, "JPEG", quality=95)
    data = {"file": (io.BytesIO(noise.getvalue()), "confetti.jpg")}
    assert owner(app).submit(f"{settings_of(event_id)}/cover", data, page=settings_of(event_id)).status_code == 303
    small = Browser(app).get(f"/e/{world.code}/cover.jpg?size=small")
    assert small.mimetype == "image/webp"
    assert len(small.data) <= 45_000


@pytest.mark.parametrize(("size", "shown"), [((3000, 350), (700, 350)), ((300, 2400), (300, 600)), ((2, 2), (2, 2))])
def test_a_panorama_keeps_its_pixels_on_phones(
    app: Flask, world: World, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    event_id = world.event()
    data = {"file": (io.BytesIO(picture(size)), "panorama.jpg")}
    assert owner(app).submit(f"{settings_of(event_id)}/cover", data, page=settings_of(event_id)).status_code == 303
    large = Image.open(io.BytesIO(Browser(app).get(f"/e/{world.code}/cover.jpg").data))
    small = Image.open(io.BytesIO(Browser(app).get(f"/e/{world.code}/cover.jpg?size=small").data))
    share = large.width / size[0]
    assert small.size == pytest.approx((shown[0] * share, shown[1] * share), abs=1.5)


def test_a_cover_from_before_there_were_small_ones_is_shown_as_it_is(app: Flask, world: World) -> None:
    event_id = world.event()
    data = {"file": (io.BytesIO(picture((3000, 2000))), "a.jpg")}
    assert owner(app).submit(f"{settings_of(event_id)}/cover", data, page=settings_of(event_id)).status_code == 303
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(cover_small_key=None))
    guest = Browser(app)
    assert "<source" not in guest.get(f"/e/{world.code}").text
    assert guest.get(f"/e/{world.code}/cover.jpg?size=small").mimetype == "image/jpeg"


def test_what_is_no_cover_is_refused_with_a_sentence(app: Flask, world: World) -> None:
    event_id = world.event()
    browser, page = owner(app), settings_of(event_id)
    for content in (b"", b"no picture", picture()[:300]):
        answer = browser.submit(f"{page}/cover", {"file": (io.BytesIO(content), "a.jpg")}, page=page)
        assert answer.status_code in (413, 415, 422) and error_at(answer, "file")
    assert event(app).cover_key is None


def test_one_of_the_photos_becomes_the_cover_and_no_hidden_one(app: Flask, world: World) -> None:
    event_id = world.event()
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    browser, page = owner(app), settings_of(event_id)
    assert f'value="{photo_id}"' in browser.get(page).text
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(published_at=None))
    assert browser.submit(f"{page}/cover", {"photo": photo_id}, page=page).status_code == 422
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(published_at=Photo.created_at))
    assert browser.submit(f"{page}/cover", {"photo": photo_id}, page=page).status_code == 303
    assert Browser(app).get(f"/e/{world.code}/cover.jpg").status_code == 200


def test_a_cover_goes_with_the_photo_that_it_is_a_copy_of(app: Flask, world: World) -> None:
    event_id = world.event()
    shown, other = world.add_photos(event_id, *photos_with("grace", 2))
    world.work()
    browser, page, guest = owner(app), settings_of(event_id), Browser(app)
    assert browser.submit(f"{page}/cover", {"photo": shown}, page=page).status_code == 303

    def delete(photo_id: str | None) -> None:
        with app.app_context(), unit_of_work():
            photo_erasure.erase_photo(db.session.scalars(select(Photo).where(Photo.public_id == photo_id)).one(), None)
        world.work()

    delete(other)
    assert guest.get(f"/e/{world.code}/cover.jpg").status_code == 200
    delete(shown)
    assert guest.get(f"/e/{world.code}/cover.jpg").status_code == 404
    assert list(app.extensions["settings"].data_dir.rglob("cover/*")) == []


def test_a_photo_that_is_deleted_while_it_becomes_the_cover_does_not(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = world.event()
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    browser, page = owner(app), settings_of(event_id)
    store = app.extensions["blobs"]
    put = store.put

    def put_late(key: str, source: IO[bytes]) -> BlobInfo:
        """Somebody deletes the photo between its being read and the cover's being written down."""
        stored: BlobInfo = put(key, source)
        if key.endswith(".jpg"):
            with app.app_context(), unit_of_work():
                photo_erasure.erase_photo(db.session.scalars(select(Photo)).one(), None)
        return stored

    monkeypatch.setattr(store, "put", put_late)
    assert browser.submit(f"{page}/cover", {"photo": photo_id}, page=page).status_code == 422
    assert event(app).cover_key is None
    assert list(app.extensions["settings"].data_dir.rglob("cover/*")) == []


# --- publishing ---


def test_ending_approval_asks_what_becomes_of_photos_that_wait(app: Flask, world: World) -> None:
    event_id = world.event()
    browser, page = owner(app), settings_of(event_id)
    assert browser.submit(f"{page}/publishing", {"approval": "y", "watermark": "© Ada"}, page=page).status_code == 303
    assert (event(app).approval, event(app).watermark) == (True, "© Ada")
    world.add_photos(event_id, *demo_photos(2))
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(published_at=None))
    asked = browser.submit(f"{page}/publishing", {"approval": ""}, page=page)
    assert asked.status_code == 422 and error_at(asked, "waiting")
    assert event(app).approval is True
    assert browser.submit(f"{page}/publishing", {"approval": "", "waiting": "publish"}, page=page).status_code == 303
    with app.app_context():
        assert None not in db.session.scalars(select(Photo.published_at)).all()
    assert event(app).approval is False


# --- closing and opening again ---


def test_a_closed_event_takes_nobody_and_nothing_and_galleries_stay(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    guest = api.register(world.code, "ada")
    browser, page = owner(app), settings_of(event_id)
    assert browser.submit(f"{page}/close", page=page).status_code == 303
    assert "closed" in text(Browser(app).get(f"/e/{world.code}"))
    form = {"user_data": {"username": "bob", "email": "b@example.com", "password": PASSWORD}, "event_code": world.code}
    assert api.post("/register-with-event-code", json=form).status_code == 409
    assert api.login(OWNER).upload_photos(event_id, *demo_photos(1)).status_code == 409
    assert guest.get("/my-photos").status_code == 200
    assert event(app).closed_at is not None
    assert browser.submit(f"{page}/reopen", page=page).status_code == 303
    assert event(app).status is EventStatus.OPEN and event(app).closed_at is None


def test_opening_again_says_and_does_what_has_to_be_indexed(app: Flask, world: World) -> None:
    event_id = world.event()
    first, second = world.add_photos(event_id, *photos_with("grace", 2))
    world.work()
    browser, page = owner(app), settings_of(event_id)
    browser.submit(f"{page}/close", page=page)
    assert "no photo has to be searched anew" in text(browser.get(page))
    with app.app_context(), unit_of_work():
        stale = select(Photo.id).where(Photo.public_id == first)
        faces = select(Face.id).where(Face.photo_id.in_(stale))
        db.session.execute(update(FaceVector).where(FaceVector.face_id.in_(faces)).values(version="older"))
    assert "1 photo has to be searched for faces anew" in text(browser.get(page))
    browser.submit(f"{page}/reopen", page=page)
    with app.app_context():
        waiting = db.session.scalars(select(Photo.public_id).where(Photo.status == PhotoStatus.UPLOADED)).all()
    assert waiting == [first]
    world.work()
    with app.app_context():
        assert {photo.status for photo in db.session.scalars(select(Photo))} == {PhotoStatus.INDEXED}
        assert second
    browser.submit(f"{page}/close", page=page)
    assert "no photo has to be searched anew" in text(browser.get(page))


# --- deleting ---


def test_an_event_goes_once_its_name_is_typed_and_a_receipt_stays(app: Flask, world: World) -> None:
    event_id = world.event()
    world.add_photos(event_id, *demo_photos(1))
    browser, page = owner(app), settings_of(event_id)
    wrong = browser.submit(f"{page}/delete", {"name": "Partly"}, page=page)
    assert wrong.status_code == 422 and error_at(wrong, "delete")
    done = browser.submit(f"{page}/delete", {"name": " party "}, page=page)
    assert (done.status_code, done.headers["Location"]) == (303, "/studio/")
    shown = text(browser.get("/studio/"))
    with app.app_context():
        assert db.session.scalars(select(Event)).all() == []
        receipt = db.session.scalars(select(AuditEntry.public_id).where(AuditEntry.action == "event.erased")).one()
    assert receipt in shown
    world.work()
    assert list(app.extensions["settings"].data_dir.rglob(f"{event_id}/**/*.jpg")) == []


# --- the poster ---


def read_link(content: bytes) -> str:
    """What a camera reads. OpenCV's reader failed at 6 posters of 342 with random tokens, ZXing's at none."""
    return str(zxingcpp.read_barcode(drawn(content)).text)


def drawn(content: bytes) -> np.ndarray:
    document = pypdfium2.PdfDocument(content)
    assert len(document) == 1
    page = document[0]
    assert [round(side / 72 * 25.4) for side in page.get_size()] == [210, 297]
    return np.array(page.render(scale=1.5).to_pil().convert("RGB"))


def words_of(content: bytes) -> str:
    return str(pypdfium2.PdfDocument(content)[0].get_textpage().get_text_range())


def test_the_poster_carries_event_address_code_and_a_qr_code_that_reads(app: Flask, world: World) -> None:
    event_id = world.event()
    browser = owner(app)
    form = DETAILS | {"name": "Mariage d’Éloïse", "place": "Łódź", "language": "fr", "code": world.code}
    assert browser.submit(settings_of(event_id), form).status_code == 303
    answer = browser.get(f"/studio/events/{event_id}/poster.pdf")
    assert answer.mimetype == "application/pdf"
    assert read_link(answer.data) == f"http://localhost/e/{world.code}?t={event(app).join_token}"
    words = words_of(answer.data)
    for wanted in ("Mariage d’Éloïse", "1 juillet 2026", "Łódź", world.code, "localhost"):
        assert wanted in words


@pytest.mark.parametrize(
    "name",
    ["💍 Anna & Tom 🎉", "👩‍❤️‍👨", "中文 婚礼", "Ελένη και Дмитрий", "شادي", "W" * 120, "a b " * 30, "<b>&amp;%(x)s{y}"],
)
def test_whatever_an_event_is_called_its_poster_comes_out(
    app: Flask, world: World, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    event_id = world.event()
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(name=name.strip()))
    with caplog.at_level(logging.WARNING):
        answer = owner(app).get(f"/studio/events/{event_id}/poster.pdf")
    assert answer.status_code == 200
    assert read_link(answer.data).endswith(f"/e/{world.code}?t={event(app).join_token}")
    assert not [record for record in caplog.records if record.name.startswith("f")]


def test_the_sharing_page_has_link_text_and_all_kinds_of_codes(app: Flask, world: World) -> None:
    event_id = world.event()
    browser = owner(app)
    page = browser.get(f"/studio/events/{event_id}/share")
    assert f"Find your photos of Party: open http://localhost/e/{world.code}" in text(page)
    for kind, head in (("png", b"\x89PNG"), ("svg", b"<svg")):
        assert browser.get(f"/studio/events/{event_id}/qr.{kind}").data.startswith(head)
    assert browser.get(f"/studio/events/{event_id}/qr.gif").status_code == 404
