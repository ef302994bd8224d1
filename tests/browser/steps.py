"""What people do on several pages: sign in, wait for their photos, bring a folder, sit behind a slow line."""

import io
import re
import uuid
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext, Page

from tests.support.actors import selfie

SHOWN = "#grid > li[id^='photo-']"
"""A photo in a guest's grid."""

# What went straight to a store is checked first, by a worker.
SOME = re.compile(r"\d (in|being checked)")
SLOW = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 400_000}


def sign_in(page: Page, person: dict[str, str]) -> None:
    page.locator("input[name=login]").fill(person["email"])
    page.locator("input[name=password]").fill(person["password"])
    page.get_by_role("button", name="Sign in").click()


def choose_selfie(page: Page, content: bytes) -> None:
    """Pick a file as the selfie; with a script that leads on to the fields."""
    page.locator("input[type=file]").set_input_files({"name": "me.jpg", "mimeType": "image/jpeg", "buffer": content})


def fill_in(page: Page, name: str) -> None:
    """Fill in who one is, and agree; once the selfie is there."""
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=email]").fill(f"{name.lower()}@example.com")
    page.locator("input[name=consent]").check()


def join(page: Page, name: str, content: bytes) -> None:
    """Join with a file as the selfie, from the event's page."""
    choose_selfie(page, content)
    fill_in(page, name)
    page.get_by_role("button", name="Find my photos").click()


def photo(seed: int, *, weight: int = 0) -> bytes:
    """A real face in a frame that makes it one of a kind, with `weight` bytes of comment so that it takes its time."""
    image = Image.open(io.BytesIO(selfie("grace"))).convert("RGB")
    image.putpixel((seed % image.width, 0), (seed % 256, 0, 0))
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=90, comment=uuid.uuid4().hex.encode())
    return kept.getvalue() + bytes(weight)


def folder_of(path: Path, count: int, *, weight: int = 0) -> Path:
    (path / "raw").mkdir(parents=True)
    for number in range(count):
        (path / f"IMG_{number:04}.jpg").write_bytes(photo(number, weight=weight))
    return path


def throttled(context: BrowserContext, page: Page) -> None:
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW)
