"""Which fonts a page is drawn in: ours, but on the first page that comes late."""

import time

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import ON_LAPTOP, OpenPage

pytestmark = [pytest.mark.browser, ON_LAPTOP]

LATE_SECONDS = 0.6
PAGE = "/sign-in"


def make_late(page: Page) -> None:
    """Let the server take longer for each page than early.js waits."""

    def later(route: Route) -> None:
        time.sleep(LATE_SECONDS)
        route.continue_()

    page.route(f"**{PAGE}", later)


def has_ours(page: Page) -> bool:
    """Return True where the heading is drawn in our font, and not in the system's."""
    return "Instrument Serif" in str(page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily"))


def test_the_first_page_that_comes_late_is_in_the_systems_fonts_and_the_next_in_ours(open_page: OpenPage) -> None:
    page = open_page("about:blank")
    make_late(page)
    page.goto(PAGE)
    assert not has_ours(page)
    page.goto(PAGE)
    assert has_ours(page)


def test_a_page_that_comes_late_after_one_in_our_fonts_has_them_too(open_page: OpenPage) -> None:
    page = open_page("/back")
    page.wait_for_load_state("load")
    make_late(page)
    page.goto(PAGE)
    assert has_ours(page)
