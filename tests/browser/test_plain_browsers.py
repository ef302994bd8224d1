"""Browsers that lack something: JavaScript, modules, brotli. The core goes on."""

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import ON_LAPTOP, OpenPage
from tests.browser.steps import SHOWN, choose_selfie, join, photo, sign_in
from tests.support.actors import selfie
from tests.support.product import Product, demo_facts

pytestmark = [pytest.mark.browser, ON_LAPTOP]


def until_shown(page: Page, selector: str) -> None:
    """Reload, as one does without JavaScript, until something is there."""
    for _ in range(60):
        if page.locator(selector).count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(f"{selector} did not come")


def test_without_javascript_a_photographer_makes_an_event_and_fills_it_and_a_guest_finds_themselves(
    open_page: OpenPage, product: Product
) -> None:
    page = open_page("/sign-in", java_script_enabled=False)
    sign_in(page, demo_facts(product)["photographer"])
    page.wait_for_url("**/studio/")
    page.goto("/studio/events/new")
    page.locator("input[name=name]").fill("Without scripts")
    page.locator("input[name=date]").fill("2026-12-01")
    page.locator("main button[type=submit], main form button").last.click()
    page.wait_for_url(lambda address: "/studio/events/" in address and "new" not in address)
    event = page.url.split("?")[0].rstrip("/")
    code = page.locator(".code-word").first.text_content() or ""
    page.goto(f"{event}/upload")
    page.locator("input[name=files]").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo(7)})
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("a.jpg").first).to_be_visible()
    page.goto(f"{event}/photos")
    until_shown(page, ".shots img")
    guest = open_page(f"/e/{code.strip()}", java_script_enabled=False)
    join(guest, "Scriptless", selfie("grace"))
    guest.wait_for_url("**/photos")
    until_shown(guest, SHOWN)
    guest.locator(f"{SHOWN} a").first.click()
    expect(guest.get_by_role("link", name="Download")).to_be_visible()


def test_without_modules_the_plain_form_is_there_at_once(open_page: OpenPage) -> None:
    page = open_page("about:blank", tolerated="net::ERR_")
    page.add_init_script("delete HTMLScriptElement.prototype.noModule")
    page.route("**/*.js", lambda route: route.abort())  # such a browser does not even ask for them
    page.goto("/e/DEMO2026", wait_until="commit")
    page.locator("input[type=file]").wait_for(state="visible")
    assert not page.evaluate("document.documentElement.classList.contains('js')")
    choose_selfie(page, selfie("grace"))
    page.locator("input[name=name]").fill("Moduleless")
    page.locator("input[name=email]").fill("moduleless@example.com")
    page.locator("input[name=consent]").check()
    page.get_by_role("button", name="Find my photos").click()
    page.wait_for_url("**/photos")
    until_shown(page, SHOWN)


@pytest.mark.parametrize(("accepted", "said"), [("gzip", "gzip"), ("identity", "")])
def test_a_browser_without_brotli_gets_what_it_can_read(open_page: OpenPage, accepted: str, said: str) -> None:
    page = open_page("about:blank")
    used: dict[str, str] = {}

    def ask(route: Route) -> None:
        """Chromium always takes brotli, so another client asks for it, as a browser without it would."""
        answer = requests.get(route.request.url, headers={"Accept-Encoding": accepted}, timeout=20)
        used[route.request.url.rpartition("/")[2]] = answer.headers.get("Content-Encoding", "")
        kept = {name: value for name, value in answer.headers.items() if name != "Content-Encoding"}
        route.fulfill(status=answer.status_code, headers=kept, body=answer.content)

    page.route("**/e/DEMO2026", ask)
    page.route("**/static/**", ask)
    page.goto("/e/DEMO2026")
    expect(page.locator("[data-selfie][data-ready]")).to_have_count(1)
    assert {encoding for name, encoding in used.items() if not name.endswith(".woff2")} == {said}
    page.get_by_role("button", name="Take a selfie").click()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator("input[name=name]")).to_be_visible()
