"""What apps show of a link to us, and what phones make of us on their home screen."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser
from tests.support.process_app import ProcessApps
from webapp.db.extensions import db
from webapp.models import Event, EventStatus, Invitation, LinkPurpose, Membership, User
from webapp.pictures import imaging
from webapp.queueing import unit_of_work
from webapp.services.accounts import sign_in_links
from webapp.services.events import covers, events, invitations
from webapp.services.joining import ready_mails
from webapp.settings import Settings
from webapp.web.templating import LANGUAGES, OG_LOCALES

OWNER = "photographer@example.com"
PUBLIC = "http://localhost"


class _Head(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, str] = {}
        self.links: dict[str, dict[str, str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("property", values.get("name", ""))
        if tag == "meta" and name.startswith(("og:", "twitter:")):
            assert name not in self.tags, f"{name} twice"
            self.tags[name] = values["content"]
        if tag == "link":
            self.links.setdefault(values["rel"], values)


def head(page: str) -> _Head:
    found = _Head()
    found.feed(page)
    return found


def preview(browser: Browser, path: str, language: str = "en") -> dict[str, str]:
    return head(browser.get(path, headers={"Accept-Language": language}).text).tags


def change(app: Flask, **values: object) -> None:
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        for name, value in values.items():
            setattr(event, name, value)


def token_of(app: Flask) -> str:
    with app.app_context():
        return db.session.scalars(select(Event)).one().join_token


def noise(width: int, height: int) -> bytes:
    """A picture that no encoder makes small."""
    made = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(made, "JPEG", quality=95)
    return made.getvalue()


def set_cover(app: Flask, content: bytes) -> None:
    with app.app_context():
        owner = db.session.scalars(select(User).where(User.email == OWNER)).one()
        covers.set_picture(db.session.scalars(select(Event)).one(), io.BytesIO(content), owner)


# --- links to an event ---


def test_a_link_to_an_event_is_shown_with_its_name_date_place_and_cover(app: Flask, world: World) -> None:
    world.event()
    set_cover(app, noise(900, 600))
    change(app, place="Lyon")
    shown = preview(Browser(app), f"/e/{world.code}?t={token_of(app)}")
    address = shown.pop("og:image")
    assert shown == {
        "og:type": "website",
        "og:site_name": "FindMe",
        "og:locale": "en_US",
        "og:url": f"{PUBLIC}/e/{world.code}",
        "og:title": "Party",
        "og:description": "June 20, 2026 · Lyon · Take a selfie and find the photos that you are in.",
        "og:image:type": "image/jpeg",
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "The cover of Party",
        "twitter:card": "summary_large_image",
    }
    assert address.startswith(f"{PUBLIC}/e/{world.code}/preview.jpg?v=")
    assert token_of(app) not in address


@pytest.mark.parametrize("size", [(3000, 2000), (600, 2400), (240, 160)])
def test_its_picture_is_what_the_tags_say_to_a_stranger_and_light_enough(
    app: Flask, world: World, size: tuple[int, int]
) -> None:
    world.event()
    set_cover(app, noise(*size))
    shown = preview(Browser(app), f"/e/{world.code}")
    answer = app.test_client(use_cookies=False).get(shown["og:image"].removeprefix(PUBLIC))
    assert answer.status_code == 200
    assert answer.mimetype == shown["og:image:type"]
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert len(answer.data) <= imaging.MOST_LINK_PREVIEW_BYTES
    with Image.open(io.BytesIO(answer.data)) as image:
        assert image.format == "JPEG"
        assert [str(side) for side in image.size] == [shown["og:image:width"], shown["og:image:height"]]
        assert not image.getexif()
    again = app.test_client().get(shown["og:image"], headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_an_event_without_a_cover_is_shown_with_the_products_mark(app: Flask, world: World) -> None:
    world.party()  # photos of people, none of which was made the cover
    shown = preview(Browser(app), f"/e/{world.code}")
    assert "/static/icon-maskable-512-" in shown["og:image"]
    assert shown["og:image"].startswith(f"{PUBLIC}/")
    assert shown["twitter:card"] == "summary"
    answer = Browser(app).get(shown["og:image"])
    with Image.open(io.BytesIO(answer.data)) as image:
        assert [str(side) for side in image.size] == [shown["og:image:width"], shown["og:image:height"]]
        assert image.convert("RGBA").getextrema()[3] == (255, 255)
    answer.close()
    assert Browser(app).get(f"/e/{world.code}/preview.jpg").status_code == 404


def test_a_name_is_text_whatever_is_in_it(app: Flask, world: World) -> None:
    world.event()
    name = ("\"Ada's\" & 💍 </title><script>alert(1)</script>\"> <meta property='og:x' content=1>" + " é" * 200)[:200]
    change(app, name=name, place='"><script>')
    set_cover(app, noise(90, 60))
    answer = Browser(app).get(f"/e/{world.code}")
    shown = head(answer.text).tags
    assert shown["og:title"] == name
    assert shown["og:image:alt"] == f"The cover of {name}"
    assert '· "><script> ·' in shown["og:description"]
    assert "og:x" not in shown
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize(("events_own", "browsers"), [("fr", "en"), ("", "fr")])
def test_it_speaks_the_events_language_else_the_readers(
    app: Flask, world: World, events_own: str, browsers: str
) -> None:
    world.event()
    change(app, language=events_own)
    shown = preview(Browser(app), f"/e/{world.code}", browsers)
    assert shown["og:locale"] == "fr_FR"
    assert shown["og:description"] == "20 juin 2026 · Prenez un selfie et retrouvez les photos où vous êtes."


def test_every_language_has_a_locale() -> None:
    assert OG_LOCALES.keys() == LANGUAGES.keys() == set(events.LANGUAGES)


@pytest.mark.parametrize(
    "over", [{"status": EventStatus.CLOSED}, {"join_days": 0, "created_at": datetime(2026, 6, 1, tzinfo=UTC)}]
)
def test_where_joining_is_over_no_one_is_asked_to_take_a_selfie(
    app: Flask, world: World, over: dict[str, object]
) -> None:
    world.event()
    change(app, **over)
    shown = preview(Browser(app), f"/e/{world.code}")
    assert (shown["og:title"], shown["og:description"]) == ("Party", "June 20, 2026")


def test_nothing_in_it_is_its_readers(app: Flask, world: World) -> None:
    world.event()
    set_cover(app, noise(90, 60))
    world.person("zebediah@example.com")
    reader = Browser(app).sign_in("zebediah@example.com", PASSWORD)
    page = reader.get(f"/e/{world.code}").text
    assert "zebediah" in page
    assert head(page).tags == preview(Browser(app), f"/e/{world.code}")
    assert "zebediah" not in str(head(page).tags)


def test_a_link_to_ones_own_photos_is_shown_as_the_event(app: Flask, world: World) -> None:
    world.event()
    Api(app).register(world.code, "ada")
    answer = app.test_client().get(f"/e/{world.code}/photos", follow_redirects=True)
    assert head(answer.text).tags == preview(Browser(app), f"/e/{world.code}")


def test_many_previews_at_once_do_not_hold_all_threads(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.event()
    set_cover(app, noise(640, 480))
    path = f"/e/{world.code}/preview.jpg"
    going_on, most = threading.Event(), 4

    def slow(*arguments: Any, **options: Any) -> Any:
        assert going_on.wait(30)
        return decode(*arguments, **options)

    decode = imaging.decode
    monkeypatch.setattr(imaging, "decode", slow)
    with ThreadPoolExecutor(2 * most) as threads:
        answers = [threads.submit(lambda: Browser(app).get(path).status_code) for _ in range(2 * most)]
        deadline = time.monotonic() + 20
        while sum(answer.done() for answer in answers) < most and time.monotonic() < deadline:
            time.sleep(0.05)
        refused = [answer.result() for answer in answers if answer.done()]
        going_on.set()
        assert refused == [503] * most
        assert sorted(answer.result() for answer in answers) == [200] * most + [503] * most
    assert Browser(app).get(path).status_code == 200


def test_unknown_codes_have_no_preview(app: Flask, world: World) -> None:
    world.event()
    answer = Browser(app).get("/e/NOPE9999")
    assert answer.status_code == 404
    assert head(answer.text).tags == {}
    assert Browser(app).get("/e/NOPE9999/preview.jpg").status_code == 404


def test_pages_with_secret_addresses_have_no_preview(app: Flask, world: World) -> None:
    event_id = world.event()
    change(app, name="Jubilee of Zebediah")
    world.person("zebediah@example.com")
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    team = f"/studio/events/{event_id}/team"
    assert owner.submit(team, {"email": "newcomer@example.com"}).status_code == 303
    world.work()
    with app.app_context():
        user = db.session.scalars(select(User).where(User.email == "zebediah@example.com")).one()
        with unit_of_work():
            renewed = invitations.renew_token(db.session.scalars(select(Invitation.public_id)).one())
            assert renewed is not None
            membership = db.session.scalars(select(Membership)).one()
            invitation, stop = renewed[1], ready_mails.stop_token(membership)
            secret = sign_in_links.new_token(user)
            forgotten = sign_in_links.new_token(user, purpose=LinkPurpose.PASSWORD)
    pages = [f"/sign-in/{secret}", f"/password/{forgotten}", f"/invitations/{invitation}", f"/mails/stop/{stop}"]
    pages += ["/back?code=x", f"/e/{world.code}/back?t={token_of(app)}", "/sign-in/unknown", "/invitations/unknown"]
    for path in pages:
        answer = Browser(app).get(path)
        assert answer.status_code == 200 or "unknown" in path, path
        assert head(answer.text).tags == {}, path
        title = answer.text.partition("<title>")[2].partition("</title>")[0].lower()
        # The event's own page is open to everyone who has its code, which stands in the address.
        assert ("zebediah" in title) == path.startswith("/e/"), path


def test_the_first_page_is_shown_as_the_product(app: Flask) -> None:
    assert preview(Browser(app), "/") == {"og:type": "website", "og:site_name": "FindMe", "og:title": "FindMe"}
    assert preview(Browser(app), "/sign-in") == {}


def test_addresses_are_those_of_the_installation(settings: Settings, process_apps: ProcessApps, world: World) -> None:
    world.event()
    told = Settings(_env_file=None, **(settings.model_dump() | {"public_url": "https://findme.example"}))
    with process_apps.lent(told) as app:
        shown = head(app.test_client().get(f"/e/{world.code}", base_url="http://10.0.0.7:8000").text).tags
    assert {urlsplit(shown[name])[:2] for name in ("og:url", "og:image")} == {("https", "findme.example")}


# --- on the home screen ---


def test_the_manifest_names_icons_that_are_what_it_says(app: Flask) -> None:
    browser = Browser(app)
    page = browser.get("/").text
    link = head(page).links["manifest"]
    assert link["crossorigin"] == "use-credentials"  # else the language that was chosen is not known
    answer = browser.get(link["href"])
    assert answer.mimetype == "application/manifest+json"
    said = answer.get_json(force=True)
    assert (said["start_url"], said["scope"], said["display"]) == ("/", "/", "standalone")
    assert said["theme_color"] == said["background_color"]
    assert f'<meta name="theme-color" content="{said["theme_color"]}" media="(prefers-color-scheme: light)">' in page
    assert {(icon["sizes"], icon["purpose"]) for icon in said["icons"]} == {
        ("192x192", "any"),
        ("512x512", "any"),
        ("512x512", "maskable"),
        ("any", "any"),
    }
    for icon in said["icons"]:
        file = browser.get(icon["src"])
        assert (file.status_code, file.mimetype) == (200, icon["type"])
        if icon["type"] == "image/png":
            with Image.open(io.BytesIO(file.data)) as image:
                assert "x".join(map(str, image.size)) == icon["sizes"]
        file.close()


def test_what_a_phone_cuts_off_has_nothing_of_the_mark(app: Flask) -> None:
    said = Browser(app).get("/manifest.webmanifest").get_json(force=True)
    source = next(icon["src"] for icon in said["icons"] if icon["purpose"] == "maskable")
    answer = Browser(app).get(source)
    with Image.open(io.BytesIO(answer.data)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    answer.close()
    y, x = np.mgrid[0:512, 0:512]
    outside = np.hypot(x - 255.5, y - 255.5) > 0.4 * 512
    paper = [int(said["background_color"][place : place + 2], 16) for place in (1, 3, 5)]
    assert (pixels[outside] == paper).all()
    assert not (pixels[~outside] == paper).all()


def test_the_manifest_speaks_the_chosen_language(app: Flask) -> None:
    browser = Browser(app)
    assert browser.submit("/language", {"language": "fr"}, page="/").status_code == 303
    said = browser.get("/manifest.webmanifest", headers={"Accept-Language": "en"}).get_json(force=True)
    assert said["lang"] == "fr"
    assert said["description"].startswith("Retrouvez")
    said = Browser(app).get("/manifest.webmanifest", headers={"Accept-Language": "en"}).get_json(force=True)
    assert said["lang"] == "en"


def test_icons_that_are_asked_for_by_custom_are_there(app: Flask) -> None:
    favicon = Browser(app).get("/favicon.ico")
    assert (favicon.status_code, favicon.mimetype) == (200, "image/x-icon")
    with Image.open(io.BytesIO(favicon.data)) as image:
        assert image.format == "ICO"
        assert image.info["sizes"] == {(16, 16), (32, 32)}
    touch = Browser(app).get(head(Browser(app).get("/").text).links["apple-touch-icon"]["href"])
    with Image.open(io.BytesIO(touch.data)) as image:
        assert image.size == (180, 180)
        assert image.convert("RGBA").getextrema()[3] == (255, 255)
    for answer in (favicon, touch):
        answer.close()
