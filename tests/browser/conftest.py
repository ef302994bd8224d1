"""A real browser on the real product, with a camera that shows a real face; `make test` finds or brings the browser."""

import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from tests.cloud.installation import BUCKET, cloud
from tests.support.actors import selfie
from tests.support.product import ROOT, Product, demo_facts, running

QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-gpu",
]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
# Chromium and htmx write every answer of 400 and above to the console; refusals are answers, not faults. Chromium also
# writes there that a file is gone by the time it is sent, and the upload client throws when it gives up one that is in.
REFUSAL = re.compile(
    r"the server responded with a status of 4|Response Status Error Code 4|net::ERR_FILE_NOT_FOUND"
    r"|unexpected response while terminating upload.*upload_missing"
)
STILL = {"reduced_motion": "reduce"}
"""What nearly all tests ask of pages: without a graphics card, drawing what moves takes a seventh of all their time."""

MOVING = {"reduced_motion": "no-preference"}
OpenPage = Callable[..., Page]


def chromium_path() -> Path | None:
    """Where Chromium is; None means Playwright's own. Skips where there is none at all."""
    noted = ROOT / ".venv" / "browser"
    named = noted.read_text().strip() if noted.exists() else shutil.which("chromium") or ""
    if not named:
        pytest.skip("there is no Chromium here, and none could be had: `make test` says so, too")
    return None if named == "playwright" else Path(named)


ON_LAPTOP = pytest.mark.parametrize("product", ["laptop"], indirect=True)
"""Run a test on the product as it is by default; said so that it shares the running one with those of ON_BOTH."""

ON_BOTH = pytest.mark.parametrize("product", ["laptop", "cloud"], indirect=True)
"""Run a test on the product as it is by default, and on the one with Rekognition, S3 and PostgreSQL."""


@pytest.fixture(scope="package")
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with its demo event: with its defaults, or with everything in the cloud by settings alone."""
    with ExitStack() as servers:
        settings, made = {"DEMO": "1", "WORKERS": "1", "MATCHING_PROCESSES": "1"}, None
        if getattr(request, "param", "laptop") == "cloud":
            made = servers.enter_context(cloud(tmp_path_factory.mktemp("models")))
            settings |= made.settings
        product = servers.enter_context(running(tmp_path_factory.mktemp("product"), **settings))
        if made is not None:
            made.store.let_browsers_upload(BUCKET, product.url)
        demo_facts(product)
        product.wait("SELECT count(*) FROM photo WHERE status <> 'indexed'", 0)
        yield product


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def camera() -> Iterator[Path]:
    """What the browser's camera shows: Grace's selfie, as raw video that needs no encoder."""
    folder = Path(tempfile.mkdtemp(prefix="findme-camera-"))
    yield write_camera(folder)
    shutil.rmtree(folder)


def write_camera(folder: Path) -> Path:
    """Write the video that the browser's camera shows: Grace's selfie."""
    picture = ImageOps.fit(Image.open(io.BytesIO(selfie("grace"))).convert("RGB"), (1280, 960), centering=(0.5, 0.35))
    luma, blue, red = picture.convert("YCbCr").split()
    frame = b"FRAME\n" + _limited(luma, 235) + _halved(blue) + _halved(red)
    path = folder / "camera.y4m"
    path.write_bytes(b"YUV4MPEG2 W1280 H960 F10:1 Ip A1:1 C420mpeg2\n" + frame * 2)
    return path


def _limited(plane: Image.Image, top: int) -> bytes:
    return plane.point(lambda value: int(16 + value * (top - 16) / 255)).tobytes()


def _halved(plane: Image.Image) -> bytes:
    small = plane.resize((plane.width // 2, plane.height // 2), Image.Resampling.BOX)
    return _limited(small, 240)


@pytest.fixture(scope="package")
def chromium(playwright: Playwright, camera: Path) -> Iterator[Browser]:
    arguments = [
        *QUIET,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    browser = playwright.chromium.launch(
        executable_path=chromium_path(), args=arguments, headless=True, chromium_sandbox=False
    )
    yield browser
    browser.close()


@pytest.fixture
def open_page(chromium: Browser, product: Product) -> Iterator[OpenPage]:
    """Open a page of the product in a browser of its own; at the end nothing may have gone wrong in it.

    What went wrong: an error in the console, a script that threw, or a request to any host but ours and our store's.
    tolerated: a pattern of errors in the console that the test causes.
    """
    contexts: list[BrowserContext] = []
    trouble: list[str] = []

    def open_(path: str, *, camera: bool = True, tolerated: str = "$^", **options: object) -> Page:
        settings = {"viewport": PHONE, "locale": "en-GB", "base_url": product.url, **STILL}
        # What a service worker takes over, Playwright's routes don't see.
        settings |= {"service_workers": "block"} | options
        context = chromium.new_context(**settings, permissions=["camera"] if camera else [])
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _is_error(message, tolerated) and trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"script: {error}"))
        ours = str(settings["base_url"])
        page.on(
            "request",
            lambda request: _is_ours(request.url, product, ours) or trouble.append(f"asked {request.url}"),
        )
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [line for line in trouble if not REFUSAL.search(line)] == []


def _is_error(message: ConsoleMessage, tolerated: str) -> bool:
    return message.type == "error" and not re.search(tolerated, message.text)


def _is_ours(url: str, product: Product, base_url: str) -> bool:
    store = product.env.get("S3_ENDPOINT_URL")
    return url.startswith((product.url, base_url, "data:", "blob:", *([store] if store else [])))
