"""A walk through every room of the studio, for the tests of what holds for all screens and for the pictures of them."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

INVITED = "newcomer@example.com"

ROOMS = (
    ("upload", "/upload"),
    ("guests", "/guests"),
    ("sharing", "/share"),
    ("team", "/team"),
    ("settings", "/settings"),
    ("cameras", "/cameras"),
    ("tokens", "/upload-tokens"),
)
"""Screens without a state worth setting up, and where they are below the event's address."""


def walk(page: Page) -> Iterator[str]:
    """From the list of events through every room of the demo's; the name of each screen while it is shown.

    The page is signed in as the event's owner and shows the list of events.
    """
    yield "events"
    page.get_by_role("link", name="Garden Party").first.click()
    expect(page.locator("#tiles > li").first).to_be_visible()
    event = urlsplit(page.url).path
    yield "event"
    yield from _photos(page, event)
    for name, path in ROOMS:
        page.goto(event + path)
        yield name
    page.goto(f"{event}/guests")
    page.locator(".guest-cards > li > a").first.click()
    expect(page.locator("#guest-name")).to_be_visible()
    yield "guest"
    page.goto("/studio/events/new")
    yield "new-event"


def walk_administration(page: Page) -> Iterator[str]:
    """Signed in as an admin: the installation, and its people with one who is invited and has not come yet."""
    page.goto("/admin/")
    yield "admin"
    page.goto("/admin/people")
    if not page.get_by_text(INVITED, exact=True).count():
        page.get_by_label("E-mail").fill(INVITED)
        page.get_by_role("button", name="Send the invitation").click()
        expect(page.get_by_text(INVITED, exact=True)).to_be_visible()
    yield "people"


def _photos(page: Page, event: str) -> Iterator[str]:
    """The grid as it opens, with its filters, with some photos chosen, before they are deleted, and one of them."""
    page.goto(f"{event}/photos")
    expect(page.locator(".shots > li").first).to_be_visible()
    yield "photos"
    page.get_by_text("More filters").click()
    expect(page.locator("#facet-guests")).to_be_visible()
    yield "photos-filters"
    page.goto(f"{event}/photos")
    for index in (1, 2, 4):
        page.locator(".shots .pick input").nth(index).check()
    expect(page.locator(".desk-bar")).to_be_visible()
    yield "photos-chosen"
    page.locator(".desk-bar").get_by_role("button", name="Delete").click()
    expect(page.locator("dialog[open]")).to_be_visible()
    yield "photos-delete"
    page.goto(f"{event}/photos?guests=yes")
    page.locator(".shots .picture").first.click()
    expect(page.locator(".file-name")).to_be_visible()
    yield "photo-studio"


def invitation_link(page: Page, address: str) -> str:
    """Where the newest invitation to an address leads, as the page of kept mails shows it; polls until it is there."""
    letters = page.locator("article", has_text=address)
    for _ in range(100):
        page.goto("/dev/mail")
        text = (letters.first.text_content() or "") if letters.count() else ""
        found = re.search(r"https?://\S+(/invitations/\S+)", text)
        if found:
            return found[1]
        page.wait_for_timeout(200)
    raise TimeoutError(f"no invitation for {address}")
