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
