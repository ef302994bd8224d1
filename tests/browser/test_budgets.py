"""What the first page and the upload page may cost over the wire, and when a guest on a weak network sees something.

Bytes are counted as they are sent: compressed, with headers, all of a visit with an empty cache. Times depend on the
machine as well as on the emulated network, so the best of a few visits counts.
"""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page

from tests.browser.conftest import ON_LAPTOP, OpenPage
from tests.browser.steps import sign_in
from tests.browser.wire import WEAK, Cost, counted, cover_paint, first_contentful_paint, layout_shift
from tests.support.actors import photos_with
from tests.support.built import address
from tests.support.product import Product, demo_facts, login

pytestmark = [pytest.mark.browser, ON_LAPTOP]

KB = 1000
VISITS = 3

FIRST_PAGE = 100 * KB
SCRIPT = 60 * KB
UPLOAD_SCRIPT = 120 * KB
FIRST_PAINT_SECONDS = 2.5
COVER_SECONDS = 3.0
SHIFT = 0.05


@pytest.fixture(scope="module")
def with_cover(product: Product) -> str:
    """The path of an event's landing page whose cover is a photo."""
    person = demo_facts(product)["photographer"]
    client = login(product, person["email"], person["password"])
    event = client.post("/photographer/events", json={"name": "Weak network", "date": "2026-12-01"})
    session = requests.Session()
    fields = {"login": person["email"], "password": person["password"]}
    _submit(session, f"{product.url}/sign-in", fields)
    settings = f"{product.url}/studio/events/{event['id']}/settings"
    _submit(session, settings, {}, at=f"{settings}/cover", files={"file": photos_with("grace", 1)[0]})
    return f"/e/{event['code']}"


def _submit(session: requests.Session, page: str, fields: dict[str, str], at: str = "", **more: object) -> None:
    token = session.get(page, timeout=20).text.partition('name="csrf_token" value="')[2].partition('"')[0]
    answer = session.post(at or page, data=fields | {"csrf_token": token}, timeout=60, **more)  # type: ignore[arg-type]
    assert answer.ok, answer.text


def visits(open_page: OpenPage, path: str) -> Iterator[tuple[Page, Cost]]:
    """A few first visits on a weak network, each from a browser that has nothing of the site."""
    for _ in range(VISITS):
        page = open_page("about:blank")
        with counted(page, WEAK) as cost:
            page.goto(path)
            page.wait_for_load_state("networkidle")
            yield page, cost


def kept_without_connection(url: str) -> int:
    """Bytes that the service worker fetches once the page is there."""
    worker = requests.get(f"{url}/worker.js", headers={"Accept-Encoding": "br"}, stream=True, timeout=20)
    files = [requests.get(url + address("offline.css"), headers={"Accept-Encoding": "br"}, stream=True, timeout=20)]
    files += [requests.get(url + address("offline.js"), headers={"Accept-Encoding": "br"}, stream=True, timeout=20)]
    return sum(len(answer.raw.read(decode_content=False)) for answer in [worker, *files])


def test_the_first_page_keeps_its_budget(open_page: OpenPage, product: Product, with_cover: str) -> None:
    paints, covers = [], []
    for page, cost in visits(open_page, with_cover):
        paints.append(first_contentful_paint(page))
        covers.append(cover_paint(page))
        assert cost.without_pictures + kept_without_connection(product.url) <= FIRST_PAGE, cost
        assert cost.of("Script") <= SCRIPT, cost
        assert any("woff2" in address for address in cost.addresses), "the fonts are part of it"
        assert cost.hosts == {product.url.removeprefix("http://")}
        assert layout_shift(page) < SHIFT
    assert min(paints) <= FIRST_PAINT_SECONDS, paints
    assert min(covers) <= COVER_SECONDS, covers


@pytest.mark.parametrize("path", ["/", "/sign-in", "/e/DEMO2026"])
def test_other_first_pages_are_as_light(open_page: OpenPage, product: Product, path: str) -> None:
    page = open_page("about:blank")
    with counted(page) as cost:
        page.goto(path)
        page.wait_for_load_state("networkidle")
    assert cost.without_pictures + kept_without_connection(product.url) <= FIRST_PAGE, cost
    assert cost.of("Script") <= SCRIPT, cost
    assert layout_shift(page) < SHIFT


def test_the_upload_page_and_the_overview_keep_theirs(open_page: OpenPage, product: Product) -> None:
    page = open_page("/sign-in")
    sign_in(page, demo_facts(product)["photographer"])
    page.wait_for_url("**/studio/")
    event = page.locator("a.event-card").last.get_attribute("href") or ""
    for path in (f"{event}/upload", event):
        with counted(page) as cost:
            page.goto(path)
            page.wait_for_load_state("load")
        assert 20 * KB < cost.of("Script") <= UPLOAD_SCRIPT, (path, cost)
        assert cost.hosts == {product.url.removeprefix("http://")}


def test_a_second_page_costs_little_more_than_itself(open_page: OpenPage) -> None:
    """Scripts, style sheets and fonts are not even asked for again."""
    page = open_page("/e/DEMO2026")
    page.wait_for_load_state("networkidle")
    page.goto("/sign-in")
    page.wait_for_load_state("networkidle")
    fetched = page.evaluate(
        "performance.getEntriesByType('resource').filter(entry => entry.transferSize > 0).map(entry => entry.name)"
    )
    assert page.evaluate("performance.getEntriesByType('resource').length") >= 4
    assert [address for address in fetched if "/static/" in address] == []
