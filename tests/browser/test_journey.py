"""The whole way, in a real browser: join with the camera, see photos arrive, a photographer at work beside."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, MOVING, ON_BOTH, ON_LAPTOP, PHONE, OpenPage
from tests.browser.steps import SHOWN, choose_selfie, fill_in, join, sign_in
from tests.support.actors import photos_with, photos_without, selfie
from tests.support.product import Product, demo_facts

pytestmark = pytest.mark.browser


def grey() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (900, 900), (120, 125, 130)).save(target, "JPEG")
    return target.getvalue()


def file(content: bytes, name: str = "me.jpg", kind: str = "image/jpeg") -> dict[str, object]:
    return {"name": name, "mimeType": kind, "buffer": content}


@ON_BOTH
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_guest_joins_with_the_camera_and_sees_their_photos(
    open_page: OpenPage, product: Product, viewport: dict[str, int]
) -> None:
    page = open_page("/", viewport=viewport, **MOVING)
    page.locator("input[name=code]").fill("demo 2026")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Take a selfie").click()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator("input[name=source]")).to_have_value("camera")
    expect(page.get_by_text("ooks good so far")).to_be_visible(timeout=20_000)
    fill_in(page, f"Walker{viewport['width']}")
    page.get_by_role("button", name="Find my photos").click()
    page.wait_for_url("**/e/DEMO2026/photos")
    expect(page.locator(SHOWN).first).to_be_visible(timeout=20_000)
    expect(page.get_by_text(re.compile(r"^\d+ photos of you$"))).to_be_visible(timeout=20_000)
    wanted = len([1 for _ in photos_with("grace")])
    assert page.locator(SHOWN).count() == wanted
    pictures = page.locator(f"{SHOWN} a > img:not(.blur)")
    pictures.first.evaluate("image => image.complete || new Promise(done => image.onload = done)")
    assert pictures.first.evaluate("image => image.naturalWidth") > 100


@ON_BOTH
def test_photos_arrive_without_a_reload_while_the_photographer_uploads(open_page: OpenPage, product: Product) -> None:
    studio = open_page("/sign-in", viewport=DESKTOP)
    sign_in(studio, demo_facts(product)["photographer"])
    studio.get_by_role("link", name="New event").first.click()
    studio.locator("input[name=name]").fill("Late light")
    studio.locator("input[name=date]").fill("2026-09-12")
    studio.get_by_role("button", name="Create event").click()
    studio.wait_for_url(re.compile(r"/studio/events/\w{16}$"))
    join_link = re.search(r"/e/([A-Z0-9]{8})", studio.content())
    assert join_link
    expect(studio.locator("img[src*='qr.svg'], svg.qr, object[data*='qr.svg']").first).to_be_visible()
    studio.evaluate("window.here = 'still the same page'")

    guest = open_page(join_link.group(0))
    choose_selfie(guest, selfie("grace"))
    expect(guest.locator("input[name=source]")).to_have_value("file")
    fill_in(guest, "Early")
    guest.get_by_role("button", name="Find my photos").click()
    guest.wait_for_url("**/photos")
    expect(guest.get_by_text("No photo of you yet").or_(guest.get_by_text("None yet")).first).to_be_visible(
        timeout=20_000
    )
    guest.evaluate("window.here = 'still the same page'")

    photos = [*photos_with("grace", 3), *photos_without("grace", 2)]
    files = [file(content, name) for name, content in photos]
    sender = studio.context.new_page()
    sender.goto(f"{studio.url}/upload")
    sender.locator("[data-sender][data-ready]").wait_for()
    sender.locator("input#files").set_input_files([*files, file(b"not a picture", "notes.jpg")])
    expect(sender.get_by_text("See the photos")).to_be_visible(timeout=30_000)
    # The overview in the other tab has heard of all of it by itself.
    expect(studio.locator("#tiles .badge", has_text="face")).to_have_count(5, timeout=40_000)
    expect(studio.get_by_text("not a picture that we can open").first).to_be_visible()
    assert studio.evaluate("window.here") == "still the same page"

    expect(guest.locator(SHOWN)).to_have_count(3, timeout=40_000)
    assert guest.evaluate("window.here") == "still the same page"
    studio.get_by_role("button", name=re.compile("[Ss]earch again|[Rr]ematch")).first.click()
    expect(guest.locator(SHOWN)).to_have_count(3)


@ON_LAPTOP
def test_a_refused_selfie_says_why_and_the_next_one_finds_photos(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026")
    choose_selfie(page, grey())
    # The first look says so already, and doesn't stand in the way.
    expect(page.get_by_text("We couldn't find a face in this picture")).to_be_visible(timeout=20_000)
    fill_in(page, "Grey")
    page.get_by_role("button", name="Find my photos").click()
    page.wait_for_url("**/photos")
    expect(page.get_by_text("We couldn't find a face in this picture")).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Take a new selfie").click()
    page.locator("input[type=file]").set_input_files(file(selfie("eileen")))
    page.get_by_role("button", name="Use this selfie").click()
    expect(page.locator(SHOWN).first).to_be_visible(timeout=20_000)


@ON_LAPTOP
def test_what_was_typed_stays_when_something_is_wrong(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026")
    choose_selfie(page, selfie("grace"))
    fill_in(page, "Kept")
    page.locator("input[name=email]").fill("nonsense")
    page.get_by_role("button", name="Find my photos").click()
    expect(page.get_by_text("doesn't look like an e-mail address")).to_be_visible()
    assert page.locator("input[name=name]").input_value() == "Kept"
    assert page.locator("input[name=consent]").is_checked()
    assert page.locator("input[type=file]").evaluate("input => input.files.length") == 1
    page.locator("input[name=email]").fill("kept@example.com")
    page.get_by_role("button", name="Find my photos").click()
    page.wait_for_url("**/photos")


@ON_LAPTOP
def test_it_works_without_javascript(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026", java_script_enabled=False)
    join(page, "Plain", selfie("grace"))
    page.wait_for_url("**/photos")
    for _ in range(40):
        if page.locator(SHOWN).count():
            break
        page.wait_for_timeout(500)
        page.reload()
    page.locator(f"{SHOWN} a").first.click()
    expect(page.get_by_role("link", name="Download")).to_be_visible()


@ON_LAPTOP
def test_the_cameras_refusal_leaves_the_file(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026")
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no'); }; }")
    with page.expect_file_chooser():
        page.get_by_role("button", name="Take a selfie").click()
    expect(page.get_by_text("There is no camera that this page can use")).to_be_visible()


@ON_LAPTOP
def test_french(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026", locale="fr-FR")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    assert "Find my photos" not in page.content()


@ON_BOTH
def test_somebody_who_no_longer_wants_to_be_looked_for_says_so_on_the_page(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026")
    join(page, "Leaver", selfie("grace"))
    expect(page.locator(SHOWN).first).to_be_visible(timeout=20_000)
    page.goto("/e/DEMO2026/selfie")
    page.get_by_text("Stop looking for my face").click()
    page.get_by_role("button", name="Delete my selfie and stop").click()
    expect(page.get_by_text("are deleted")).to_be_visible()
    expect(page.locator(SHOWN)).to_have_count(0)
