"""How long the machine makes a guest wait from the QR code to the first photo of theirs.

A real browser with a camera that shows a face, on the running product with its demo event. What people do, such as
looking into the camera and typing, counts nothing: the waits are from the QR code's address to a button that can be
tapped, from the tap on the shutter to the fields, and from the tap on "Find my photos" to a photo that is drawn.
"""

import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.report import Figure
from tests.browser.conftest import PHONE, QUIET, chromium_path, write_camera
from tests.support.product import demo_facts, running

WEAK = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
NETWORKS = {"400 kbit/s and 400 ms": (WEAK, 10.0), "a fast network": (None, 1.5)}
"""What is emulated, and the goal in seconds."""

RUNS = 5
FACE_CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
READY = "!!document.querySelector('[data-selfie][data-ready]')"
"""The button does something, and the styles are there, since scripts wait for them."""

DRAWN = """(image => !!image && image.complete && image.naturalWidth > 0)(
    document.querySelector("#grid > li[id^='photo-'] a > img:not(.blur)"))"""


def measure(_cache: Path) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="findme-bench-") as folder, sync_playwright() as playwright:
        camera = write_camera(Path(folder))
        with running(Path(folder) / "data", DEMO="1", WORKERS="1", MATCHING_PROCESSES="1") as product:
            demo_facts(product)
            product.wait("SELECT count(*) FROM photo WHERE status <> 'indexed'", 0)
            browser = playwright.chromium.launch(
                executable_path=chromium_path(),
                args=[*QUIET, *FACE_CAMERA, f"--use-file-for-fake-video-capture={camera}"],
                chromium_sandbox=False,
            )
            for name, (network, goal) in NETWORKS.items():
                waits = [_join(browser, product.url, network) for _ in range(RUNS)]
                pages, shutters, photos = zip(*waits, strict=True)
                yield Figure(f"from the QR code to the selfie's button, {name}", median(pages), "s (median)")
                yield Figure(f"from the shutter to the fields, {name}", median(shutters), "s (median)")
                yield Figure(f"from sending to the first own photo, {name}", median(photos), "s (median)")
                yield Figure(f"QR code to first own photo, {name}", median(map(sum, waits)), "s", at_most=goal)
            browser.close()


def _join(browser: Browser, url: str, network: dict[str, object] | None) -> tuple[float, float, float]:
    """Join with the camera; the three waits in seconds."""
    context = browser.new_context(viewport=PHONE, base_url=url, permissions=["camera"], locale="en-GB")
    page = context.new_page()
    if network is not None:
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", network)
    began = time.perf_counter()
    page.goto("/e/DEMO2026", wait_until="commit")
    _wait_until(page, READY)
    to_button = time.perf_counter() - began
    page.locator("[data-do=start]").first.click()
    shutter = page.locator("[data-do=shoot]:enabled")
    shutter.wait_for()
    began = time.perf_counter()
    shutter.click()
    page.locator("input[name=name]").wait_for()
    to_fields = time.perf_counter() - began
    page.locator("input[name=name]").fill("Ada")
    page.locator("input[name=email]").fill(f"{uuid.uuid4().hex}@example.com")
    page.locator("input[name=consent]").check()
    # People need as long at least; meanwhile the first look at the selfie has left the line.
    page.wait_for_timeout(8000 if network else 500)
    began = time.perf_counter()
    page.get_by_role("button", name="Find my photos").click()
    page.wait_for_url("**/photos", timeout=60_000, wait_until="commit")
    _wait_until(page, DRAWN)
    to_photo = time.perf_counter() - began
    context.close()
    return to_button, to_fields, to_photo


def _wait_until(page: Page, condition: str) -> None:
    """Playwright's own way needs eval, which the pages forbid."""
    deadline = time.perf_counter() + 60
    while not page.evaluate(condition):
        if time.perf_counter() > deadline:
            raise TimeoutError(condition)
        time.sleep(0.01)
