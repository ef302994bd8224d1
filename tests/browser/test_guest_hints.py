"""What pages say to guests by themselves: how to leave an app's browser, and that an address seems mistyped."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ON_LAPTOP, OpenPage
from tests.functional.web.test_in_app import INSTAGRAM, LINE_ON_ANDROID

pytestmark = [pytest.mark.browser, ON_LAPTOP]

NO_CAMERA = "Object.defineProperty(navigator, 'mediaDevices', {value: undefined, configurable: true})"


def test_inside_an_app_the_page_says_how_to_leave_it(open_page: OpenPage) -> None:
    for user_agent in (INSTAGRAM, LINE_ON_ANDROID):
        page = open_page("/e/DEMO2026", user_agent=user_agent)
        note = page.locator("#in-app")
        expect(note).to_be_visible()
        copy = note.get_by_role("button", name="Copy link")
        box = copy.bounding_box()
        assert box is not None and box["height"] >= 44
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        copy.click()
        expect(note.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()").endswith("/e/DEMO2026")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_script_it_is_there_as_well(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026", user_agent=INSTAGRAM, java_script_enabled=False)
    expect(page.locator("#in-app")).to_be_visible()
    expect(page.locator("#in-app button")).to_be_hidden()
    expect(page.locator("#in-app-address")).to_contain_text("/e/DEMO2026")


def test_a_browser_without_a_camera_is_found_out(open_page: OpenPage) -> None:
    page = open_page("/e/DEMO2026")
    expect(page.locator("#in-app")).to_be_hidden()
    page.add_init_script(NO_CAMERA)
    page.reload()
    expect(page.locator("#in-app")).to_be_visible()
    expect(page.locator("#in-app")).to_contain_text("camera can’t be used here")


def joined(open_page: OpenPage) -> Page:
    """A guest's page of their address; the guest joins by the API."""
    page = open_page("/e/DEMO2026")
    answer = page.request.post(
        "/api/register-with-event-code",
        data={
            "user_data": {
                "username": f"Ada {id(page)}",
                "email": f"ada{id(page)}@example.com",
                "password": "correct horse battery",
            },
            "event_code": "DEMO2026",
        },
    )
    assert answer.status == 201, answer.text()
    page.goto("/sign-in")
    page.locator("input[name=login]").fill(f"Ada {id(page)}")
    page.locator("input[name=password]").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "sign-in" not in address)
    page.goto("/account/address")
    return page


def test_a_slip_in_an_address_is_mended_with_a_tap(open_page: OpenPage) -> None:
    page = joined(open_page)
    field = page.locator("input[name=email]")
    field.fill("ada@gmial.com")
    field.blur()
    hint = page.get_by_role("status").get_by_role("button", name="Did you mean ada@gmail.com?")
    expect(hint).to_be_visible()
    box = hint.bounding_box()
    assert box is not None and box["height"] >= 44
    hint.click()
    expect(field).to_have_value("ada@gmail.com")
    expect(field).to_be_focused()
    expect(hint).to_be_hidden()
    field.fill("<img src=x>&{}$&@gmial.com")
    field.blur()
    expect(page.get_by_role("button", name="Did you mean <img src=x>&{}$&@gmail.com?")).to_be_visible()
    field.fill("ada@example.com")
    field.blur()
    expect(page.locator(".address-hint button")).to_have_count(0)


def test_the_question_moves_nothing_from_under_a_finger(open_page: OpenPage) -> None:
    page = joined(open_page)
    page.locator("input[name=email]").fill("ada@gmial.com")
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name="Send me a link").click(delay=300)
