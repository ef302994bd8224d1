"""Without a connection a page says what will happen, and opens what was meant once there is one."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PHONE, STILL
from tests.browser.steps import SHOWN
from tests.support.product import demo_facts, running
from tests.support.servers import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CACHED = """caches.keys().then(async names => {
  const stores = await Promise.all(names.map(async name => (await (await caches.open(name)).keys()).map(r => r.url)));
  return stores.flat().map(address => new URL(address).pathname);
})"""


def installed(page: Page) -> None:
    """Wait until the browser has kept what it needs; pages register the worker when they have rest."""
    deadline = time.monotonic() + 30
    while not page.evaluate("navigator.serviceWorker.getRegistration().then(found => !!found?.active)"):
        assert time.monotonic() < deadline, "the service worker was not installed"
        page.wait_for_timeout(200)


def test_a_page_without_a_connection_says_what_will_happen_and_opens_by_itself(
    tmp_path: Path, chromium: Browser
) -> None:
    options = {"DEMO": "1", "WORKERS": "1", "MATCHING_PROCESSES": "1", "PORT": str(free_port())}
    with running(tmp_path / "data", **options) as product:
        context = chromium.new_context(base_url=product.url, viewport=PHONE, locale="fr-FR", **STILL)
        page = context.new_page()
        page.goto("/sign-in?next=/e/DEMO2026/photos")
        page.locator("input[name=login]").fill(demo_facts(product)["guest"]["email"])
        page.locator("input[name=password]").fill(demo_facts(product)["guest"]["password"])
        page.get_by_role("button", name="Se connecter").click()
        page.wait_for_url("**/photos")
        expect(page.locator(SHOWN).first).to_be_visible(timeout=60_000)
        installed(page)
        # Nothing of anyone is kept: no page, no photo.
        assert all(address.startswith("/static/offline-") for address in page.evaluate(CACHED))
        page.reload()
        expect(page.locator(SHOWN).first).to_be_visible(timeout=30_000)
    page.goto("/e/DEMO2026/photos")
    expect(page.get_by_role("heading", name="Pas de connexion pour le moment")).to_be_visible()
    expect(page.get_by_text("Rien n’est perdu")).to_be_visible()
    assert page.url.endswith("/e/DEMO2026/photos")
    assert page.evaluate("getComputedStyle(document.querySelector('.again')).borderRadius") == "999px"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with running(tmp_path / "data", **options):
        expect(page.locator(SHOWN).first).to_be_visible(timeout=60_000)
        assert page.url.endswith("/e/DEMO2026/photos")
    context.close()
