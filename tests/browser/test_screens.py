"""What holds for every screen: axe finds nothing in either theme, nothing scrolls sideways, nothing shifts."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, MOVING, ON_LAPTOP, PHONE, OpenPage
from tests.browser.steps import SHOWN, choose_selfie, sign_in
from tests.browser.studio import INVITED, invitation_link, walk, walk_administration
from tests.support.actors import selfie
from tests.support.product import Product, demo_facts

pytestmark = [pytest.mark.browser, ON_LAPTOP]

SMALLEST = {"width": 320, "height": 640}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def guest_screens(open_page: OpenPage, product: Product, **options: object) -> Iterator[Page]:
    facts = demo_facts(product)
    yield open_page("/", **options)
    yield open_page("/e/DEMO2026", **options)
    yield open_page("/e/DEMO2026/back", **options)
    for path in ("/back", "/password/forgotten", "/sign-in/nothing"):
        yield open_page(path, **options)
    newcomer = open_page("/e/DEMO2026", **options)
    choose_selfie(newcomer, selfie("grace"))
    expect(newcomer.get_by_text("ooks good so far")).to_be_visible(timeout=20_000)
    yield newcomer
    newcomer.get_by_text("No e-mail: keep my photos").click()
    newcomer.locator("input[name=name]").fill("Kept here")
    newcomer.locator("input[name=consent]").check()
    newcomer.get_by_role("button", name="Find my photos").click()
    newcomer.wait_for_url("**/photos")
    yield newcomer
    newcomer.goto("/account/recovery")
    newcomer.get_by_role("button", name="Make a code").click()
    yield newcomer
    page = open_page("/sign-in", **options)
    yield page
    sign_in(page, facts["guest"])
    page.wait_for_url("**/photos")
    expect(page.locator(SHOWN).first).to_be_visible(timeout=30_000)
    yield page
    page.locator(f"{SHOWN} a").first.click()
    page.wait_for_url("**/photos/*")
    yield page
    for path in ("/e/DEMO2026/selfie", "/e/DEMO2026/angles", "/e/DEMO2026/shared", "/account/password"):
        page.goto(path)
        yield page
    page.goto("/nothing-here")
    yield page


def studio_screens(open_page: OpenPage, product: Product, **options: object) -> Iterator[Page]:
    page = open_page("/sign-in", **options)
    sign_in(page, demo_facts(product)["photographer"])
    page.wait_for_url("**/studio/")
    for _ in walk(page):
        yield page
    admin = open_page("/sign-in", **options)
    sign_in(admin, demo_facts(product)["admin"])
    admin.wait_for_url(lambda address: "sign-in" not in address)
    for _ in walk_administration(admin):
        yield admin
    newcomer = open_page(invitation_link(admin, INVITED), **options)
    expect(newcomer.get_by_role("button", name="Accept the invitation")).to_be_visible()
    yield newcomer
    newcomer.goto("/invitations/nobody-ever-made-this-one")
    yield newcomer


@pytest.mark.parametrize("screens", [guest_screens, studio_screens], ids=["guest", "studio"])
def test_axe_finds_nothing_in_either_theme_and_nothing_scrolls_sideways_at_any_width(
    open_page: OpenPage, product: Product, screens: Callable[..., Iterator[Page]]
) -> None:
    found = []
    for page in screens(open_page, product, viewport=PHONE):
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            found += [f"{page.url} in {theme}: {fault}" for fault in axe_faults(page)]
        for viewport in (SMALLEST, DESKTOP, PHONE):
            page.set_viewport_size(viewport)
            if (wide := page.evaluate(TOO_WIDE)) > 0:
                found.append(f"{page.url} scrolls {wide} px sideways at {viewport['width']}")
    assert found == []


def axe_faults(page: Page) -> list[str]:
    result = Axe().run(page, options={"resultTypes": ["violations"]})
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in result.response["violations"]]


def test_my_photos_do_not_shift_while_they_load(open_page: OpenPage, product: Product) -> None:
    page = open_page("/sign-in?next=/e/DEMO2026/photos", **MOVING)
    sign_in(page, demo_facts(product)["guest"])
    page.wait_for_url("**/photos")
    page.wait_for_load_state("networkidle")
    shift = page.evaluate(
        """() => new Promise(done => new PerformanceObserver(list => done(
             list.getEntries().filter(e => !e.hadRecentInput).reduce((sum, e) => sum + e.value, 0)
           )).observe({type: "layout-shift", buffered: true}) || setTimeout(() => done(0), 500))"""
    )
    assert shift < 0.05
