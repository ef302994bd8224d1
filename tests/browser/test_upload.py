"""The upload page in a real browser: a folder as cameras leave it, lost connections, reloads, refusals."""

import re
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import DESKTOP, ON_BOTH, ON_LAPTOP, OpenPage
from tests.browser.steps import SOME, folder_of, sign_in, throttled
from tests.support.product import Product, demo_facts

pytestmark = pytest.mark.browser

SUMS = '[data-part="result-sums"]'


def upload_page(open_page: OpenPage, product: Product, **options: object) -> Page:
    """The upload page of an event of its own, so that the counts of tests don't meet."""
    page = open_page("/sign-in", camera=False, **({"viewport": DESKTOP} | options))
    person = demo_facts(product)["photographer"]
    page.locator("input[name=login]").fill(person["email"])
    page.locator("input[name=password]").fill(person["password"])
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url("**/studio/")
    made = page.request.post(
        "/api/photographer/events",
        data={"name": f"Upload {uuid.uuid4().hex[:6]}", "date": "2026-06-20"},
        headers={"X-CSRFToken": page.evaluate("JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRFToken']")},
    )
    assert made.ok, made.text()
    page.goto(f"/studio/events/{made.json()['id']}/upload")
    page.locator("[data-sender][data-ready]").wait_for()
    return page


def in_event(product: Product, page: Page, table: str = "photo", where: str = "1 = 1") -> int:
    found = re.search(r"/events/([^/]+)/", page.url)
    assert found
    of_event = f"event_id = (SELECT id FROM event WHERE public_id = '{found[1]}')"
    return int(product.rows(f"SELECT count(*) FROM {table} WHERE {of_event} AND {where}")[0][0])


@ON_BOTH
def test_a_folder_with_all_that_a_camera_leaves_in_it(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "card", 6)
    same = (folder / "IMG_0000.jpg").read_bytes()
    (folder / "copy of IMG_0000.jpg").write_bytes(same)
    (folder / "words.jpg").write_bytes(b"this is no picture")
    (folder / "empty.jpg").write_bytes(b"")
    for name in ("raw/IMG_0001.CR3", "raw/IMG_0002.NEF", "raw/LONE_0001.ARW", "IMG_0001.xmp", "clip.MOV", "Thumbs.db"):
        (folder / name).write_bytes(b"aside")
    page = upload_page(open_page, product)
    page.locator("#folder").set_input_files(folder)
    expect(page.locator(SUMS)).to_have_text("6 in · 1 was there already · 2 refused", timeout=60_000)
    aside = page.locator('[data-part="aside-line"]')
    expect(aside).to_contain_text("2 RAW files not sent; their JPEGs are")
    expect(aside).to_contain_text("1 RAW file not sent, without a JPEG beside it")
    expect(aside).to_contain_text("1 video · 1 sidecar file · 1 system file")
    refused = page.locator('[data-part="refused-list"]')
    expect(refused).to_contain_text("words.jpg")
    expect(refused).to_contain_text("empty.jpg")
    assert in_event(product, page) == 6
    assert in_event(product, page, "upload", "status = 'duplicate'") == 1
    assert in_event(product, page, "upload", "status = 'rejected'") == 2


@ON_LAPTOP
def test_two_cameras_use_the_same_numbers(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    """A RAW file is covered by its own camera's JPEG alone; every other one is named, however it was chosen."""
    photo = (folder_of(tmp_path / "spare", 1) / "IMG_0000.jpg").read_bytes()
    card, other = tmp_path / "one" / "card", tmp_path / "two" / "card"
    for name in ("CAM_A/RAW/IMG_0001.CR3", "CAM_A/RAW/IMG_0002.CR3", "CAM_B/IMG_0001.CR3"):
        (card / name).parent.mkdir(parents=True, exist_ok=True)
        (card / name).write_bytes(name.encode())
    for number, name in enumerate(("CAM_A/JPG/IMG_0001.JPG", "CAM_B/IMG_0002.JPG")):
        (card / name).parent.mkdir(parents=True, exist_ok=True)
        (card / name).write_bytes(photo + bytes(number + 1))
    (other / "CAM_A/RAW").mkdir(parents=True)
    (other / "CAM_A/RAW/IMG_0001.CR3").write_bytes(b"of another card with the same folders")
    loose = tmp_path / "IMG_0001.CR3"
    loose.write_bytes(b"of a third camera")
    page = upload_page(open_page, product)
    page.locator("#folder").set_input_files(card)
    expect(page.locator(SUMS)).to_have_text("2 in", timeout=60_000)
    aside, names = page.locator('[data-part="aside-line"]'), page.locator('[data-part="aside-names"] p').first
    expect(aside).to_contain_text("1 RAW file not sent; its JPEG is")
    expect(aside).to_contain_text("2 RAW files not sent, without a JPEG beside them")
    expect(names).to_be_visible()
    expect(names).to_have_text(re.compile("card/CAM_A/RAW/IMG_0002.CR3"))
    expect(names).to_have_text(re.compile("card/CAM_B/IMG_0001.CR3"))
    page.locator("#folder").set_input_files(other)
    expect(aside).to_contain_text("3 RAW files not sent, without a JPEG beside them")
    page.locator('input[type="file"]:not(#folder)').first.set_input_files(loose)
    expect(aside).to_contain_text("4 RAW files not sent, without a JPEG beside them")
    page.locator("#folder").set_input_files(card)
    expect(aside).to_contain_text("4 RAW files not sent, without a JPEG beside them")


@ON_BOTH
def test_a_lost_connection_goes_on(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "card", 10, weight=150_000)
    page = upload_page(open_page, product)
    throttled(page.context, page)
    page.locator("#folder").set_input_files(folder)
    expect(page.locator('[data-part="sums"]')).to_contain_text(SOME, timeout=60_000)
    page.context.set_offline(True)
    expect(page.locator('[data-part="offline"]')).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator(SUMS)).to_have_text("10 in", timeout=90_000)
    assert in_event(product, page) == 10


@ON_LAPTOP
def test_a_reload_goes_on_with_what_is_missing(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "card", 10, weight=150_000)
    page = upload_page(open_page, product)
    throttled(page.context, page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#folder").set_input_files(folder)
    expect(page.locator('[data-part="sums"]')).to_contain_text(SOME, timeout=60_000)
    page.reload()
    expect(page.locator('[data-part="unfinished-line"]')).to_contain_text("not sent to the end")
    page.locator("#folder").set_input_files(folder)
    # Had anything been sent again, it would count as there already.
    expect(page.locator(SUMS)).to_have_text("10 in", timeout=90_000)
    assert in_event(product, page) == 10
    assert in_event(product, page, "upload", "status = 'duplicate'") == 0


@ON_LAPTOP
def test_an_upload_that_was_given_up_meanwhile_begins_anew(
    open_page: OpenPage, product: Product, tmp_path: Path
) -> None:
    page = upload_page(open_page, product)
    given_up: list[str] = []

    def give_up_the_first(route: Route) -> None:
        if route.request.method == "PATCH" and not given_up:
            given_up.append(route.request.url)
            headers = {name: route.request.headers[name] for name in ("x-csrftoken", "tus-resumable")}
            assert page.request.delete(route.request.url, headers=headers).status == 204
        route.continue_()

    page.route("**/files/**", give_up_the_first)
    page.locator("#folder").set_input_files(folder_of(tmp_path / "card", 3))
    expect(page.locator(SUMS)).to_have_text("3 in", timeout=60_000)
    assert given_up and in_event(product, page) == 3
    assert in_event(product, page, "upload", "status = 'rejected'") == 0


@ON_LAPTOP
def test_a_card_that_is_pulled_out_is_no_lost_connection(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "card", 20)
    page = upload_page(open_page, product)
    throttled(page.context, page)
    page.locator("#folder").set_input_files(folder)
    expect(page.locator('[data-part="sums"]')).to_contain_text(SOME, timeout=60_000)
    folder.rename(tmp_path / "pulled")
    expect(page.locator('[data-part="failed-gone"]')).to_be_visible(timeout=30_000)
    expect(page.locator('[data-part="offline"]')).to_be_hidden()
    expect(page.locator('[data-part="failed-names"]')).to_contain_text(re.compile(r"IMG_00\d\d\.jpg"))
    (tmp_path / "pulled").rename(folder)
    page.locator('[data-part="retry-failed"]').click()
    # A file may have been complete when its card went, only the answer was not there yet.
    expect(page.locator(SUMS)).to_have_text(
        re.compile(r"^(20 in|1\d in · \d+ (was|were) there already)$"), timeout=90_000
    )
    assert in_event(product, page) == 20


@ON_LAPTOP
def test_a_lost_sign_in_is_said_and_goes_on(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "card", 3)
    page = upload_page(open_page, product)
    page.context.clear_cookies()
    page.locator("#folder").set_input_files(folder)
    expect(page.locator('[data-part="signed-out"]')).to_be_visible(timeout=30_000)
    other = page.context.new_page()
    other.goto("/sign-in")
    sign_in(other, demo_facts(product)["photographer"])
    other.wait_for_url("**/studio/")
    page.locator('[data-part="check"]').click()
    expect(page.locator(SUMS)).to_have_text("3 in", timeout=60_000)
    expect(page.locator('[data-part="signed-out"]')).to_be_hidden()


@ON_LAPTOP
def test_the_account_is_in_french_too(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    page = upload_page(open_page, product, locale="fr-FR")
    assert page.locator("html").get_attribute("lang") == "fr"
    page.locator("#folder").set_input_files(folder_of(tmp_path / "card", 2))
    expect(page.locator('[data-part="summary"]')).to_be_visible(timeout=60_000)
    assert in_event(product, page) == 2


@ON_LAPTOP
def test_too_many_uploads_at_once_are_waited_for(open_page: OpenPage, product: Product, tmp_path: Path) -> None:
    page = upload_page(open_page, product)
    reason = "Too many of your files are on their way."
    refusals = 0

    def refuse(route: Route) -> None:
        nonlocal refusals
        if route.request.method != "POST" or refusals >= 3:
            route.continue_()
            return
        refusals += 1
        headers = {"FindMe-Reason": "uploads_open", "FindMe-Detail": reason.replace(" ", "%20"), "Retry-After": "60"}
        route.fulfill(status=429, headers=headers)

    page.route("**/files", refuse)
    page.locator("#folder").set_input_files(folder_of(tmp_path / "card", 2))
    expect(page.locator('[data-part="offline-why"]')).to_have_text(reason)
    expect(page.locator('[data-part="offline"]')).to_be_visible()
    expect(page.locator(SUMS)).to_have_text("2 in", timeout=60_000)
    expect(page.locator('[data-part="offline"]')).to_be_hidden()
    assert refusals == 3
