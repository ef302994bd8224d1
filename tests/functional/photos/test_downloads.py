"""What people save: originals, or web-size pictures with the photographer's watermark, under safe names."""

import io

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from webapp.db.extensions import db
from webapp.models import Event, Photo, Rendition, RenditionKind
from webapp.queueing import unit_of_work
from webapp.services.core import blobs
from webapp.services.photos import watermarks
from webapp.web.media import download_name, takes_webp


@pytest.fixture
def photo_id(world: World, api: Api) -> str:
    event_id = world.event()
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).status_code == 200
    world.work()
    assert photo_id is not None
    return photo_id


def mark(app: Flask, text: str) -> None:
    with app.app_context(), unit_of_work():
        db.session.scalars(select(Event)).one().watermark = text


def test_a_guest_gets_the_original_or_what_carries_the_watermark(app: Flask, photo_id: str) -> None:
    guest = Browser(app).sign_in("ada", PASSWORD)
    owner = Browser(app).sign_in("photographer@example.com", PASSWORD)
    original, path = photos_with("grace", 1)[0][1], f"/photos/{photo_id}/download"
    assert guest.get(path).data == original == guest.get(f"{path}?size=original").data
    mark(app, "© Zoë")
    ways = (path, f"{path}?size=original", f"{path}?size=web", f"/media/photos/{photo_id}/original")
    answers = [guest.get(way) for way in (*ways, f"/api/photo/{photo_id}?size=original")]
    assert {answer.content_type for answer in answers} == {"image/jpeg"}
    marked = {answer.data for answer in answers}
    assert len(marked) == 1 and original not in marked
    assert answers[0].headers["Content-Disposition"].startswith("attachment")
    assert owner.get(path).data == original
    mark(app, "Other")
    changed = guest.get(path).data
    assert changed not in marked
    with app.app_context():
        assert len(db.session.scalars(select(Rendition).where(Rendition.kind == RenditionKind.WEB)).all()) == 1
    assert guest.get(f"{path}?size=preview").status_code == 404


def test_what_is_out_of_sight_cannot_be_downloaded(app: Flask, photo_id: str) -> None:
    guest = Browser(app).sign_in("ada", PASSWORD)
    with app.app_context(), unit_of_work():
        db.session.scalars(select(Photo)).one().published_at = None
    for size in ("web", "original"):
        assert guest.get(f"/photos/{photo_id}/download?size={size}").status_code == 404
    with app.app_context():
        assert RenditionKind.WEB not in db.session.scalars(select(Rendition.kind)).all()


def test_old_browsers_get_jpeg_made_once(app: Flask, photo_id: str) -> None:
    guest = Browser(app).sign_in("ada", PASSWORD)
    path = f"/media/photos/{photo_id}/preview"
    modern = guest.get(path, headers={"Accept": "image/avif,image/webp,*/*;q=0.8"})
    old = [guest.get(path, headers={"Accept": "image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"}) for _ in range(2)]
    assert (modern.content_type, old[0].content_type) == ("image/webp", "image/jpeg")
    assert old[0].data == old[1].data and old[0].headers["ETag"] == old[1].headers["ETag"] != modern.headers["ETag"]
    assert all("Accept" in answer.headers["Vary"] for answer in (modern, *old))
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        known = set(db.session.scalars(select(Rendition.blob_key)))
        assert set(blobs.store().keys(f"events/{event.public_id}/photos/")) == known


@pytest.mark.parametrize(
    ("accept", "webp"),
    [("", True), ("*/*", True), ("image/*", True), ("image/webp;q=0.9", True), ("image/jpeg", False),
     ("image/png,image/*;q=0.8,*/*;q=0.5", False)],
)  # fmt: skip
def test_who_takes_webp(accept: str, webp: bool) -> None:
    assert takes_webp(accept) is webp


@pytest.mark.parametrize(
    ("name", "kind", "saved"),
    [
        ("IMG_1.JPG", "image/jpeg", "IMG_1.JPG"),
        ("IMG_1.heic", "image/jpeg", "IMG_1.jpg"),
        ("a\r\nSet-Cookie: x=1.jpg", "image/jpeg", "aSet-Cookie: x=1.jpg"),
        ("../../etc/passwd", "image/png", "_.._etc_passwd.png"),
        ("page.html", "image/jpeg", "page.html.jpg"),
        ("été 🎉.png", "image/png", "été 🎉.png"),
        ("", "image/webp", "photo.webp"),
    ],
)
def test_names_of_saved_files(name: str, kind: str, saved: str) -> None:
    assert download_name(name, kind) == saved


@pytest.mark.parametrize("ground", [(250, 250, 250), (15, 15, 25)])
@pytest.mark.parametrize("size", [(2048, 1365), (900, 1600), (60, 40)])
def test_the_watermark_can_be_read_on_light_and_dark(ground: tuple[int, int, int], size: tuple[int, int]) -> None:
    plain = Image.new("RGB", size, ground)
    done = np.asarray(watermarks.marked(plain, "© Zoë Photography")).astype(int)
    corner = done[size[1] // 2 :, size[0] // 3 :]
    assert corner.max() - corner.min() > 90, "letters and what is behind them differ"
    assert (done[: size[1] // 2] == ground).all(), "the rest of the picture is left alone"
    assert (np.asarray(watermarks.marked(plain, "🎉 中")) == ground).all(), "no empty boxes for letters we lack"


def test_any_text_can_be_a_watermark() -> None:
    for text in ("x" * 400, "\0\n\t", "aaa", "\u202e\u0645\u0631", "\U0001f469\u200d\U0001f467"):
        assert watermarks.marked(Image.new("RGB", (300, 200)), text).size == (300, 200)
    with io.BytesIO() as target:
        watermarks.marked(Image.new("RGB", (3, 2)), "abc").save(target, "JPEG")
