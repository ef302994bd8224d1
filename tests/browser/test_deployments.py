"""Two deployments in a row, each with scripts and styles of its own, under pages that are open in a browser."""

import re
import time
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.steps import SHOWN, sign_in
from tests.support.checkouts import checkout
from tests.support.product import demo_facts, running
from tests.support.servers import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ASSET = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def assets(url: str) -> dict[str, bytes]:
    """What the landing page asks for: address → content."""
    page = requests.get(f"{url}/e/DEMO2026", timeout=20).text
    return {address: requests.get(url + address, timeout=20).content for address in ASSET.findall(page)}


def version_of(page: Page) -> tuple[str, str]:
    script = page.evaluate("document.documentElement.dataset.version")
    style = page.evaluate("getComputedStyle(document.body).getPropertyValue('--version')")
    return script, style.strip('"')


def is_well(page: Page) -> None:
    """The open page still finds out what is new, and says nothing of a fault."""
    with page.expect_response(lambda answer: "/photos/live" in answer.url and answer.ok, timeout=30_000):
        pass
    expect(page.locator("#request-error .note")).to_be_hidden(timeout=15_000)


def test_two_deployments_in_a_row_leave_no_broken_page(tmp_path: Path, chromium: Browser) -> None:
    versions = {name: checkout(tmp_path / name, name) for name in "abc"}
    options = {"DEMO": "1", "WORKERS": "1", "MATCHING_PROCESSES": "1", "PORT": str(free_port())}
    data = tmp_path / "data"
    with running(data, root=versions["a"], **options) as product:
        facts = demo_facts(product)
        # What a service worker takes over, Playwright's routes don't see.
        context = chromium.new_context(base_url=product.url, service_workers="block")
        page = context.new_page()
        page.goto("/sign-in?next=/e/DEMO2026/photos")
        sign_in(page, facts["guest"])
        expect(page.locator(SHOWN).first).to_be_visible(timeout=60_000)
        assert version_of(page) == ("a", "a")
        of_a = assets(product.url)
        # What a browser has that began to load a page in the last moment before the deployment.
        half_loaded = requests.get(f"{product.url}/e/DEMO2026", timeout=20).text
        time.sleep(1)  # what is kept is kept from a thread
    with running(data, root=versions["b"], **options) as product:
        of_b = assets(product.url)
        assert not {name for name in of_a if ".js" in name or ".css" in name} & set(of_b)
        assert {name: requests.get(product.url + name, timeout=20).content for name in of_a} == of_a
        assert version_of(page) == ("a", "a")
        is_well(page)
        other = context.new_page()
        other.route("**/e/DEMO2026", lambda route: route.fulfill(body=half_loaded, content_type="text/html"))
        statuses: dict[str, int] = {}
        other.on("response", lambda answer: statuses.update({answer.url: answer.status}))
        other.goto("/e/DEMO2026")
        assert set(statuses.values()) == {200}, statuses
        expect(other.locator("[data-selfie][data-ready]")).to_have_count(1)
        assert version_of(other) == ("a", "a")
        page.locator(f"{SHOWN} a").first.click()
        page.wait_for_url("**/photos/*")
        assert version_of(page) == ("b", "b")
        page.go_back()
        page.wait_for_url("**/photos")
        expect(page.locator(SHOWN).first).to_be_visible()
        time.sleep(1)
    with running(data, root=versions["c"], **options) as product:
        for known in (of_a, of_b):
            assert {name: requests.get(product.url + name, timeout=20).content for name in known} == known
        is_well(page)
        page.reload()
        expect(page.locator(SHOWN).first).to_be_visible()
        assert version_of(page) == ("c", "c")
    context.close()
