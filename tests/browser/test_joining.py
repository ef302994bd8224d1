"""Joining on a phone: the selfie first, few taps, once and only once, and ways in without an address or a selfie."""

import io
import re
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import DESKTOP, ON_LAPTOP, PHONE, OpenPage
from tests.browser.steps import SHOWN, choose_selfie, fill_in, join
from tests.support.actors import selfie
from tests.support.built import address
from tests.support.lossy_proxy import LossyProxy
from tests.support.product import Product

pytestmark = [pytest.mark.browser, ON_LAPTOP]

JOIN = "/e/DEMO2026"
LOST = "net::ERR_|Failed to load resource|htmx:sendError|Response Status Error Code 4|htmx:afterRequest"
WEAK = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""400 kbit/s each way, and 400 ms."""

COUNT_TAPS = "addEventListener('click', event => { if (event.isTrusted) window.taps = (window.taps || 0) + 1; }, true)"
STRIPES = """
const stripes = function (width, height) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < data.length; at += 1) data[at] = (at * 37) % 256;
  return new ImageData(data, width, height);
};
CanvasRenderingContext2D.prototype.getImageData = function (x, y, width, height) { return stripes(width, height); };
const toBlob = HTMLCanvasElement.prototype.toBlob;
HTMLCanvasElement.prototype.toBlob = function (...args) {
  this.getContext("2d").putImageData(stripes(this.width, this.height), 0, 0);
  return toBlob.apply(this, args);
};
"""
"""What a browser does that hides from fingerprinting: pictures come out of the canvas as stripes."""


def weak(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", WEAK)


def name_of_guest() -> str:
    return f"guest{uuid.uuid4().hex[:10]}"


def guests(product: Product, name: str) -> int:
    return int(product.rows(f"SELECT count(*) FROM user WHERE email = '{name}@example.com'")[0][0])


def selfies(product: Product, name: str) -> int:
    query = (
        "SELECT count(*) FROM selfie JOIN person ON person.id = selfie.person_id JOIN membership "
        f"ON membership.id = person.membership_id JOIN user ON user.id = user_id WHERE email = '{name}@example.com'"
    )
    return int(product.rows(query)[0][0])


@pytest.fixture
def proxy(product: Product) -> Iterator[LossyProxy]:
    proxy = LossyProxy(urlsplit(product.url).port or 80)
    yield proxy
    proxy.close()


def test_cover_and_selfie_are_in_the_first_screen_and_five_taps_lead_to_ones_photos(open_page: OpenPage) -> None:
    page = open_page(JOIN, viewport=PHONE)
    page.evaluate(COUNT_TAPS)
    button = page.get_by_role("button", name="Take a selfie").first
    box, cover = button.bounding_box(), page.locator(".cover").bounding_box()
    assert box is not None and cover is not None
    assert box["y"] + box["height"] <= PHONE["height"]
    assert cover["y"] < 100 and cover["height"] > PHONE["height"] / 4
    button.click()
    page.get_by_role("button", name="Take the picture").click()
    name = page.locator("input[name=name]")
    expect(name).to_be_focused()
    name.press_sequentially("Ada")
    name.press("Tab")
    page.keyboard.type(f"{name_of_guest()}@example.com")
    page.locator("input[name=consent]").check()
    send = page.get_by_role("button", name="Find my photos")
    expect(send).to_be_in_viewport(ratio=1)
    taps = page.evaluate("window.taps")
    send.click()
    page.wait_for_url("**/photos")
    expect(page.locator(SHOWN).first).to_be_visible(timeout=20_000)
    assert taps + 1 <= 5


SIDEWAYS = {"width": 844, "height": 390}


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP, SIDEWAYS], ids=["phone", "desktop", "sideways"])
def test_the_oval_is_seen_whole(open_page: OpenPage, viewport: dict[str, int]) -> None:
    page = open_page(JOIN, viewport=viewport)
    page.get_by_role("button", name="Take a selfie").first.click()
    shutter = page.get_by_role("button", name="Take the picture")
    expect(shutter).to_be_in_viewport(ratio=1)
    ring, view = page.locator(".oval .ring").bounding_box(), page.locator("dialog.camera .view").bounding_box()
    assert ring is not None and view is not None
    assert view["y"] <= ring["y"] and ring["y"] + ring["height"] <= view["y"] + view["height"]
    assert view["x"] <= ring["x"] and ring["x"] + ring["width"] <= view["x"] + view["width"]


def test_inside_an_app_the_button_is_in_the_first_screen(open_page: OpenPage) -> None:
    page = open_page(JOIN, viewport={"width": 360, "height": 640}, user_agent="Mozilla/5.0 (iPhone) Instagram 300.0")
    expect(page.get_by_text("You opened this page inside Instagram")).to_be_visible()
    expect(page.get_by_role("button", name="Take a selfie")).to_be_in_viewport(ratio=1)


def test_the_verdict_moves_nothing(open_page: OpenPage) -> None:
    page = open_page(JOIN)
    picture = io.BytesIO()
    Image.new("RGB", (600, 800), "#4a7").save(picture, "JPEG")
    choose_selfie(page, picture.getvalue())
    name = page.locator("input[name=name]")
    expect(name).to_be_focused()
    before = name.bounding_box()
    expect(page.locator("[data-verdict][data-kind=bad]")).to_be_visible(timeout=20_000)
    assert name.bounding_box() == before


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP, {"width": 320, "height": 640}], ids=["phone", "desktop", "small"])
def test_what_sends_stays_in_sight(open_page: OpenPage, viewport: dict[str, int]) -> None:
    page = open_page(JOIN, viewport=viewport)
    choose_selfie(page, selfie("grace"))
    for place in ("0", "document.body.scrollHeight / 3"):
        page.evaluate(f"window.scrollTo(0, {place})")
        expect(page.get_by_role("button", name="Find my photos")).to_be_in_viewport()


def test_consent_is_unticked_and_stays_ticked_after_an_error(open_page: OpenPage) -> None:
    page = open_page(JOIN)
    choose_selfie(page, selfie("grace"))
    consent = page.locator("input[name=consent]")
    assert not consent.is_checked()
    page.get_by_role("button", name="Find my photos").click()
    expect(page.get_by_text("We only look for your face if you agree")).to_be_visible()
    consent.check()
    page.get_by_role("button", name="Find my photos").click()
    expect(page.get_by_text("Please tell us your name")).to_be_visible()
    assert consent.is_checked()


def test_a_dropped_answer_on_a_weak_network_makes_one_guest(
    open_page: OpenPage, product: Product, proxy: LossyProxy
) -> None:
    name = name_of_guest()
    page = open_page(JOIN, base_url=proxy.url, tolerated=LOST)
    choose_selfie(page, selfie("grace"))
    fill_in(page, name)
    weak(page)
    proxy.losing = 1
    page.get_by_role("button", name="Find my photos").click()
    assert proxy.lost.wait(30)
    # It is sent again by itself, with the same key.
    page.wait_for_url("**/photos", timeout=40_000)
    expect(page.locator(SHOWN).first).to_be_visible(timeout=40_000)
    assert (guests(product, name), selfies(product, name)) == (1, 1)


def test_a_tab_that_was_closed_before_the_answer_came_is_in_when_it_is_opened_again(
    open_page: OpenPage, product: Product, proxy: LossyProxy
) -> None:
    name = name_of_guest()
    page = open_page(JOIN, base_url=proxy.url, tolerated=LOST)
    choose_selfie(page, selfie("grace"))
    fill_in(page, name)
    proxy.losing = 99
    page.get_by_role("button", name="Find my photos").click()
    assert proxy.lost.wait(30)
    context = page.context
    page.close()
    proxy.losing = 0
    again = context.new_page()
    again.goto(JOIN)
    again.wait_for_url("**/photos")
    expect(again.locator(SHOWN).first).to_be_visible(timeout=20_000)
    assert (guests(product, name), selfies(product, name)) == (1, 1)


def test_a_double_tap_makes_one_guest(open_page: OpenPage, product: Product) -> None:
    name = name_of_guest()
    page = open_page(JOIN)
    choose_selfie(page, selfie("grace"))
    fill_in(page, name)
    page.get_by_role("button", name="Find my photos").dblclick()
    page.wait_for_url("**/photos")
    assert (guests(product, name), selfies(product, name)) == (1, 1)


def test_a_canvas_that_gives_back_stripes_is_not_used(open_page: OpenPage) -> None:
    page = open_page("/")
    page.add_init_script(STRIPES)
    page.goto(JOIN)
    picture = large_picture()
    choose_selfie(page, picture)
    expect(page.get_by_role("button", name="Take again")).to_be_visible()
    sent = page.locator("input[type=file]").evaluate(
        "async input => [...new Uint8Array(await input.files[0].arrayBuffer())]"
    )
    assert bytes(sent) == picture
    # The camera's picture would come out of the same canvas: the phone's own camera app is asked instead.
    with page.expect_file_chooser():
        page.get_by_role("button", name="Take again").click()


def test_a_large_picture_is_reduced_and_a_small_one_goes_as_it_is(open_page: OpenPage) -> None:
    page = open_page(JOIN)
    size = "input => input.files[0].size"
    choose_selfie(page, large_picture())
    expect(page.get_by_role("button", name="Take again")).to_be_visible()
    assert page.locator("input[type=file]").evaluate(size) < 200_000
    small = resized(600, 750)
    choose_selfie(page, small)
    page.wait_for_function(f"document.querySelector('input[type=file]').files[0].size === {len(small)}")


def resized(width: int, height: int) -> bytes:
    target = io.BytesIO()
    with Image.open(io.BytesIO(selfie("grace"))) as image:
        image.convert("RGB").resize((width, height)).save(target, "JPEG", quality=95)
    return target.getvalue()


def large_picture() -> bytes:
    return resized(2400, 3000)


def test_a_heavy_file_shows_how_far_it_is(open_page: OpenPage) -> None:
    page = open_page("/")
    page.add_init_script(STRIPES)  # so that it goes as it is
    page.goto(JOIN)
    choose_selfie(page, large_picture() + bytes(1_500_000))
    fill_in(page, name_of_guest())
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", WEAK | {"uploadThroughput": 400_000})
    page.get_by_role("button", name="Find my photos").click()
    expect(page.get_by_text(re.compile(r"Sending: \d+ %"))).to_be_visible(timeout=20_000)
    page.wait_for_url("**/photos", timeout=60_000)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("NotAllowedError", "This page may not use the camera"),
        ("NotReadableError", "Another app uses the camera"),
        ("NotFoundError", "There is no camera that this page can use"),
    ],
)
def test_a_camera_that_can_not_be_had_is_explained_and_a_file_asked_for(
    open_page: OpenPage, error: str, sentence: str
) -> None:
    page = open_page(JOIN)
    page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', name); }; }", error
    )
    with page.expect_file_chooser():
        page.get_by_role("button", name="Take a selfie").click()
    expect(page.get_by_text(sentence)).to_be_visible()
    choose_selfie(page, selfie("grace"))
    expect(page.get_by_text(sentence)).to_be_hidden()
    expect(page.locator("input[name=name]")).to_be_visible()


def test_a_guest_without_an_address_comes_back_on_another_device_with_a_code(open_page: OpenPage) -> None:
    page = open_page(JOIN)
    choose_selfie(page, selfie("grace"))
    page.locator("input[name=name]").fill("Kept here")
    page.get_by_text("No e-mail: keep my photos on this phone only").click()
    expect(page.locator("input[name=email]")).to_be_hidden()
    page.locator("input[name=consent]").check()
    page.get_by_role("button", name="Find my photos").click()
    page.wait_for_url("**/photos")
    page.get_by_role("link", name="Write down a code").click()
    page.get_by_role("button", name="Make a code").click()
    code = page.locator("#recovery-code").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    other = open_page("/sign-in")
    other.get_by_role("link", name="Come back with it").click()
    other.get_by_label("Your code").fill(code.lower())
    other.get_by_role("button", name="See my photos").click()
    other.wait_for_url("**/photos")
    expect(other.locator(SHOWN).first).to_be_visible(timeout=20_000)


def test_a_guest_without_a_selfie_asks_the_photographer(open_page: OpenPage) -> None:
    page = open_page(JOIN)
    page.get_by_role("button", name="No selfie? Ask the photographer").click()
    expect(page.locator("input[name=consent]")).to_be_hidden()
    page.locator("input[name=name]").fill("Faceless")
    page.locator("input[name=email]").fill(f"{name_of_guest()}@example.com")
    page.locator("textarea[name=note]").fill("I wore a blue hat")
    page.get_by_role("button", name="Join without a selfie").click()
    page.wait_for_url("**/photos")
    expect(page.get_by_text("We need a selfie to look for you")).to_be_visible()


def test_further_looks_are_taken_one_after_the_other(open_page: OpenPage) -> None:
    page = open_page(JOIN)
    join(page, name_of_guest(), selfie("grace"))
    page.wait_for_url("**/photos")
    page.get_by_role("link", name="Add two looks").click()
    for side in ("left", "right"):
        expect(page.get_by_role("heading", name=f"a little to the {side}")).to_be_visible()
        page.get_by_role("button", name="Take a selfie").click()
        page.get_by_role("button", name="Take the picture").click()
        page.get_by_role("button", name="Use this look").click()
    page.wait_for_url("**/photos")
    expect(page.get_by_text("Both looks are taken")).to_be_visible()


def test_with_nothing_but_the_code_one_gets_in_leaves_and_comes_back_on_another_device(
    open_page: OpenPage, product: Product
) -> None:
    name = name_of_guest()
    page = open_page("/", locale="fr-FR")
    page.locator("input[name=code]").fill("demo 2026")
    page.keyboard.press("Enter")
    choose_selfie(page, selfie("grace"))
    fill_in_french(page, name)
    page.wait_for_url("**/photos")
    gallery = page.url
    page.get_by_role("button", name="Se déconnecter").click()
    page.locator("button[name=confirmed]").click()
    page.goto(gallery)
    page.wait_for_url("**/e/DEMO2026")
    mails = open_page("/dev/mail")
    row = mails.locator("article", has_text=f"{name}@example.com").first
    expect(row).to_be_visible(timeout=20_000)
    link = row.locator("a[href*='/sign-in/']").first.get_attribute("href")
    assert link
    other = open_page(urlsplit(link).path, locale="fr-FR")
    other.get_by_role("button", name="Voir mes photos").click()
    other.wait_for_url("**/photos")
    # Another device, and nothing proves whose selfie it was: a new one finds the photos again.
    expect(other.get_by_text("selfie").first).to_be_visible()
    other.goto("/e/DEMO2026/selfie")
    choose_selfie(other, selfie("grace"))
    other.locator("input[name=consent]").check()
    other.locator("button[type=submit]:visible").last.click()
    expect(other.locator(SHOWN).first).to_be_visible(timeout=20_000)


def fill_in_french(page: Page, name: str) -> None:
    fill_in(page, name)
    page.get_by_role("button", name="Trouver mes photos").click()


def test_where_the_scripts_do_not_come_the_plain_form_does_the_work(open_page: OpenPage) -> None:
    page = open_page("/", tolerated=LOST)
    page.route(f"**{address('guest.js')}", lambda route: route.abort())
    page.goto(JOIN)
    expect(page.locator("input[type=file]")).to_be_visible()
    join(page, name_of_guest(), selfie("grace"))
    page.wait_for_url("**/photos")


def test_a_tap_before_the_scripts_have_come_opens_the_camera_once_they_have(open_page: OpenPage) -> None:
    page = open_page("/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**{address('guest.js')}", hold)
    page.goto(JOIN, wait_until="commit")
    page.get_by_role("button", name="Take a selfie").click()
    expect(page.locator("[data-selfie][data-ready]")).to_have_count(0)
    held[0].continue_()
    expect(page.get_by_role("button", name="Take the picture")).to_be_visible()
