"""A request of htmx that fails says so in the page, until a later one succeeds."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import ON_LAPTOP, OpenPage
from tests.browser.steps import choose_selfie, fill_in, sign_in
from tests.support.actors import selfie
from tests.support.product import Product, demo_facts

pytestmark = [pytest.mark.browser, ON_LAPTOP]

STILL_HERE = "Everything on this page is still here: try again in a moment."
GOES_ON = "Nothing is lost: this page goes on by itself as soon as it can."
SERVER_SENTENCE = "Something went wrong on our side. Nothing is lost: please try again."
SERVER_FAULT = (
    f'<div id="error-form" role="alert" hx-swap-oob="true"><div class="note"><p>{SERVER_SENTENCE}</p></div></div>'
)
EXPECTED = r"status of 50\d|Status Error Code 50\d|net::ERR_INTERNET_DISCONNECTED|htmx:(afterRequest|sendError|timeout)"

SOONER = "document.addEventListener('htmx:configRequest', (event) => { event.detail.timeout /= 100; })"
"""A script with which the test waits less long for an answer than people do."""


def studio(open_page: OpenPage, product: Product, path: str = "") -> Page:
    """The photographer's page of the demo event. Its failed requests stand in the console by design."""
    page = open_page("/sign-in", tolerated=EXPECTED)
    sign_in(page, demo_facts(product)["photographer"])
    page.wait_for_url("**/studio/")
    page.get_by_role("link", name="Garden Party").first.click()
    expect(page.locator("#tiles > li").first).to_be_visible()
    if path:
        page.goto(f"{urlsplit(page.url).path}{path}")
    page.wait_for_load_state("load")  # its script is part of that
    return page


def alert(page: Page) -> Locator:
    return page.locator("#request-error")


def fail(page: Page, pattern: str, status: int = 500, body: str = SERVER_FAULT) -> None:
    """Answer requests to these addresses as a server does whose code raised, or as a proxy before it."""

    def answer(route: Route) -> None:
        route.fulfill(status=status, content_type="text/html", body=body)

    page.route(pattern, answer)


def poll(page: Page) -> None:
    page.evaluate("document.querySelector('[data-live]').dispatchEvent(new Event('wake'))")


def test_filters_that_cannot_be_loaded_say_so_and_come_when_they_can(open_page: OpenPage, product: Product) -> None:
    page = studio(open_page, product, "/photos")
    fail(page, "**/photos/filters*")
    page.get_by_text("More filters").click()
    expect(alert(page)).to_have_attribute("role", "alert")
    expect(alert(page).get_by_text(SERVER_SENTENCE)).to_be_visible()
    # A poll that succeeds meanwhile is no answer to what was asked for.
    with page.expect_response("**/photos/live*"):
        poll(page)
    expect(alert(page).get_by_text(SERVER_SENTENCE)).to_be_visible()
    page.unroute("**/photos/filters*")
    page.get_by_text("More filters").click()
    expect(page.locator("#facet-camera option", has_text="NIKON Z 6_2 (20)")).to_be_attached()
    expect(alert(page).locator(".note")).to_be_hidden()


def test_an_answer_of_something_before_the_server_has_a_sentence_too(open_page: OpenPage, product: Product) -> None:
    page = studio(open_page, product, "/photos")
    fail(page, "**/photos/filters*", 502, "<html><h1>502 Bad Gateway</h1></html>")
    page.get_by_text("More filters").click()
    expect(alert(page).get_by_text(f"The server could not answer. {STILL_HERE}")).to_be_visible()
    alert(page).get_by_role("button", name="Close this message").click()
    expect(alert(page).locator(".note")).to_be_hidden()


def test_a_poll_without_a_network_says_so_until_there_is_one(open_page: OpenPage, product: Product) -> None:
    page = studio(open_page, product)
    page.context.set_offline(True)
    poll(page)
    expect(alert(page).get_by_text(f"There is no connection to the server. {GOES_ON}")).to_be_visible()
    expect(page.locator("#tiles > li").first).to_be_visible()
    page.context.set_offline(False)
    poll(page)
    expect(alert(page).locator(".note")).to_be_hidden()


def test_an_action_without_a_network_leaves_its_dialog_open_and_says_so_there(
    open_page: OpenPage, product: Product
) -> None:
    page = studio(open_page, product, "/photos")
    page.locator(".shots .pick input").first.check()
    page.locator(".desk-bar").get_by_role("button", name="Delete").click()
    dialog = page.locator("dialog[open]")
    page.context.set_offline(True)
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_contain_text(f"There is no connection to the server. {STILL_HERE}")
    page.context.set_offline(False)
    dialog.get_by_text("Cancel").click()
    expect(dialog).to_have_count(0)


def test_a_guest_without_a_network_keeps_what_was_typed_and_joins_once_it_is_back(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026", tolerated=EXPECTED)
    choose_selfie(page, selfie("grace"))
    fill_in(page, "Kept")
    page.context.set_offline(True)
    page.get_by_role("button", name="Find my photos").click()
    expect(page.get_by_text("We send it again by ourselves")).to_be_visible()
    expect(alert(page).locator(".note")).to_be_hidden()
    assert page.locator("input[name=name]").input_value() == "Kept"
    page.context.set_offline(False)
    page.wait_for_url("**/photos", timeout=20_000)


def test_an_answer_that_never_comes_is_given_up(open_page: OpenPage, product: Product) -> None:
    page = studio(open_page, product, "/photos")
    page.route("**/photos/filters*", lambda _: None)
    page.evaluate(SOONER)
    page.get_by_text("More filters").click()
    expect(alert(page).get_by_text(f"The server took too long to answer. {STILL_HERE}")).to_be_visible()
