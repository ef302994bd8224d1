"""Takes the pictures of the screens: `python -m tests.browser.pictures [FOLDER]`, by default those of the README.

With a folder, every screen is taken at 390 × 844 and 1280 × 800, light and dark, to be looked at.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import DESKTOP, PHONE, QUIET
from tests.browser.steps import SOME, folder_of, throttled
from tests.browser.studio import INVITED, invitation_link, walk, walk_administration
from tests.support.product import ROOT, Product, demo_facts, running

README_PICTURES = ROOT / "docs" / "images"
IN_README = ("join-390-light", "my-photos-390-light", "event-1280-light", "photos-1280-light", "upload-1280-light")
GRID = "#grid > li[id^='photo-']"


def main() -> None:
    everything = len(sys.argv) > 1
    folder = Path(sys.argv[1]) if everything else README_PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        running(Path(data) / "data", DEMO="1") as product,
        sync_playwright() as playwright,
    ):
        demo_facts(product)
        product.wait("SELECT count(*) FROM photo WHERE status <> 'indexed'", 0)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=QUIET, chromium_sandbox=False
        )
        for viewport in (PHONE, DESKTOP):
            for theme in ("light", "dark") if everything else ("light",):
                _screens(browser, product, (folder, Path(data)), viewport, theme)
        browser.close()


def _screens(
    browser: Browser, product: Product, folders: tuple[Path, Path], viewport: dict[str, int], theme: str
) -> None:
    folder, cards = folders
    facts = demo_facts(product)
    label = f"{viewport['width']}-{theme}"

    def open_(path: str, person: str | None = None) -> Page:
        context = browser.new_context(
            viewport=viewport,
            color_scheme=theme,
            base_url=product.url,
            locale="en-US",
            device_scale_factor=2,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(f"/sign-in?next={path}" if person else path)
        if person:
            page.locator("input[name=login]").fill(facts[person]["email"])
            page.locator("input[name=password]").fill(facts[person]["password"])
            page.get_by_role("button", name="Sign in", exact=True).click()
        return page

    def keep(page: Page, name: str) -> None:
        if folder == README_PICTURES and f"{name}-{label}" not in IN_README:
            return
        if name != "upload":
            page.wait_for_load_state("networkidle")
        page.wait_for_timeout(300)
        picture = Image.open(io.BytesIO(page.screenshot()))
        half = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS)
        half.save(folder / f"{name}-{label}.webp", quality=72)

    keep(open_("/"), "home")
    keep(open_("/e/DEMO2026"), "join")
    page = open_("/e/DEMO2026/photos", "guest")
    page.locator(GRID).first.wait_for()
    keep(page, "my-photos")
    page.locator(f"{GRID} a").first.click()
    keep(page, "photo")
    page.goto("/e/DEMO2026/selfie")
    keep(page, "selfie")
    studio = open_("/studio/", "photographer")
    for name in walk(studio):
        if name == "upload":
            _send_some(studio, cards / label / "card")
        keep(studio, name)
    admin = open_("/admin/", "admin")
    for name in walk_administration(admin):
        keep(admin, name)
    admin.goto("/admin/queues/")
    keep(admin, "queues")
    keep(open_(invitation_link(admin, INVITED)), "accept-invitation")
    keep(open_("/nothing"), "missing")
    keep(open_("/sign-in"), "sign-in")


def _send_some(page: Page, card: Path) -> None:
    """A folder under way over a line as slow as a venue's, so that the picture shows speed and time left."""
    page.locator("[data-sender][data-ready]").wait_for()
    throttled(page.context, page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#folder").set_input_files(folder_of(card, 24, weight=250_000))
    page.locator('[data-part="sums"]', has_text=SOME).wait_for(timeout=60_000)
    page.wait_for_timeout(3000)


if __name__ == "__main__":
    main()
