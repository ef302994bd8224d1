"""A shared computer: what the next person finds in the browser after somebody has signed out."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.browser.conftest import DESKTOP, ON_LAPTOP, QUIET, OpenPage, chromium_path
from tests.browser.steps import SHOWN, sign_in
from tests.support.built import address
from tests.support.product import Product, demo_facts

pytestmark = [pytest.mark.browser, ON_LAPTOP]

SEEN = "location.pathname + ' ' + document.body.innerText"


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium with its back/forward cache, as people have it; Playwright starts it without."""
    browser = playwright.chromium.launch(
        executable_path=chromium_path(),
        args=QUIET,
        ignore_default_args=["--disable-back-forward-cache"],
        headless=True,
        chromium_sandbox=False,
    )
    yield browser
    browser.close()


def signed_in_page(browser: Browser, product: Product, who: str) -> Page:
    page = browser.new_context(base_url=product.url, locale="en-GB", viewport=DESKTOP).new_page()
    page.goto("/sign-in")
    sign_in(page, demo_facts(product)[who])
    page.wait_for_url(lambda address: "sign-in" not in address)
    return page


def sign_out(page: Page) -> None:
    page.locator("form[action='/sign-out'] button").first.evaluate("button => button.click()")
    expect(page.locator("form[action='/sign-out']")).to_have_count(0)


def stored(page: Page) -> str:
    return str(page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])"))


def test_back_shows_no_guests_after_sign_out(browser: Browser, product: Product) -> None:
    page = signed_in_page(browser, product, "photographer")
    page.get_by_role("link", name="Garden Party").first.click()
    page.goto(f"{page.url}/guests")
    guest = page.locator(".guest-cards > li").first.inner_text().strip()
    assert guest
    page.locator("#guest-query").fill("a")  # htmx replaces the address
    page.wait_for_url("**/guests?*")
    sign_out(page)
    # Playwright loses sight of a page that comes from the back/forward cache; the protocol below it does not.
    session = page.context.new_cdp_session(page)
    for _ in range(3):
        session.send("Runtime.evaluate", {"expression": "history.back()"})
        page.wait_for_timeout(1000)
        shown = session.send("Runtime.evaluate", {"expression": SEEN})["result"]["value"]
        assert shown.startswith("/sign-in ") and "Sign out" not in shown
    assert guest not in stored(page)
    page.context.close()


def test_the_browsers_cache_is_empty_after_sign_out(browser: Browser, product: Product) -> None:
    """A static file shows it: a cached picture, with its `Vary: Cookie`, is of no use to another session anyway."""
    page = signed_in_page(browser, product, "guest")
    expect(page.locator(SHOWN).first).to_be_visible(timeout=30_000)
    script = address("overview.js")
    page.evaluate("address => fetch(address).then(answer => answer.text())", script)
    cached = (
        "address => fetch(address, {cache: 'only-if-cached', mode: 'same-origin'})"
        ".then(answer => answer.status).catch(() => 'not cached')"
    )
    assert page.evaluate(cached, script) == 200
    sign_out(page)
    assert page.evaluate(cached, script) in ("not cached", 504)
    page.context.close()


def test_an_original_opened_as_a_page_may_do_nothing(open_page: OpenPage, product: Product) -> None:
    page = open_page("/sign-in")
    sign_in(page, demo_facts(product)["guest"])
    expect(page.locator(SHOWN).first).to_be_visible(timeout=30_000)
    source = page.locator(f"{SHOWN} a > img:not(.blur)").first.get_attribute("src") or ""
    answer = page.goto(re.sub(r"/(thumbnail|preview)", "/original", source))
    assert answer is not None and answer.status == 200
    assert page.evaluate("window.origin") == "null"
    assert page.locator("img").evaluate("image => image.naturalWidth") > 100
