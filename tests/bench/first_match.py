"""From a submitted selfie to the first photo on the page, with an idle and with a busy `photos` queue.

A guest of this benchmark does what a browser does: opens the event's page, posts the form with the selfie, and asks the
live region again at the pace that the page itself states, until a photo is in it. `tight` is the same with a question
every 50 ms, so that what the pipeline takes is not hidden behind the page's pace.
"""

import io
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis
import requests
from rq.suspension import resume, suspend

from tests.bench.report import Figure
from tests.support.actors import demo_photos, selfie
from tests.support.product import Client, Product, photographer, running

WAITING_PHOTOS = 500
GUESTS = 10
MOST_RATIO = 1.5
TIGHT = 0.05

_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_PACE = re.compile(r'hx-trigger="every (\d+)ms')
_NEXT = re.compile(r'hx-get="([^"]+/photos/live[^"]*)"')
_PHOTO = re.compile(r"/media/photos/\w+/thumbnail")


def measure(_cache: Path) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="findme-bench-") as folder, running(Path(folder) / "data") as product:
        owner = photographer(product)
        event = owner.post("/photographer/events", json={"name": "Bench", "date": "2026-06-20"})
        for name, content in demo_photos(30):
            owner.upload(event["id"], name, content)
        product.wait("SELECT count(*) FROM photo WHERE status <> 'indexed'", 0)
        idle, tight_idle = _guests(product, event["code"], "idle")
        _fill_queue(product, owner, event["id"])
        before = product.rows("SELECT count(*) FROM photo WHERE status = 'uploaded'")[0][0]
        busy, tight_busy = _guests(product, event["code"], "busy")
        after = product.rows("SELECT count(*) FROM photo WHERE status = 'uploaded'")[0][0]
    yield Figure("photos waiting when the busy guests began", before, "photos")
    yield Figure("photos waiting when they had their photos", after, "photos", at_least=1)
    yield Figure("selfie to first photo on the page, idle queue", idle, "s (median)")
    yield Figure("selfie to first photo on the page, busy queue", busy, "s (median)")
    yield Figure("busy / idle", busy / idle, "", at_most=MOST_RATIO)
    yield Figure("selfie to first photo, asking every 50 ms, idle", tight_idle, "s (median)")
    yield Figure("selfie to first photo, asking every 50 ms, busy", tight_busy, "s (median)")
    yield Figure("busy / idle, asking every 50 ms", tight_busy / tight_idle, "")


def _guests(product: Product, code: str, label: str) -> tuple[float, float]:
    """Medians over guests that come one after the other: at the page's own pace, and asking every 50 ms. The two kinds
    take turns, so that both meet the same queue.
    """
    paced, tight = [], []
    for number in range(GUESTS):
        paced.append(_first_photo(product.url, code, f"{label}-paced-{number}", None))
        tight.append(_first_photo(product.url, code, f"{label}-tight-{number}", TIGHT))
    return statistics.median(paced), statistics.median(tight)


def _first_photo(url: str, code: str, name: str, pause: float | None) -> float:
    with requests.Session() as browser:
        page = browser.get(f"{url}/e/{code}", timeout=30).text
        form = dict(re.findall(r'<input[^>]*name="(consent_version)"[^>]*value="([^"]*)"', page))
        form |= {"csrf_token": _TOKEN.findall(page)[0], "name": name, "email": f"{name}@example.com", "consent": "y"}
        files = {"file": ("me.jpg", io.BytesIO(selfie("grace")), "image/jpeg")}
        started = time.perf_counter()
        answer = browser.post(f"{url}/e/{code}", data=form, files=files, timeout=60)
        answer.raise_for_status()
        page = answer.text
        while not _PHOTO.search(page):
            if time.perf_counter() - started > 60:
                raise TimeoutError(f"{name} saw no photo within a minute")
            time.sleep(pause or int(_PACE.findall(page)[0]) / 1000)
            address = url + _NEXT.findall(page)[0].replace("&amp;", "&")
            live = browser.get(address, headers={"HX-Request": "true"}, timeout=30)
            page = live.text if live.status_code == 200 else page
        return time.perf_counter() - started


def _fill_queue(product: Product, owner: Client, event_id: str) -> None:
    """Hand in photos while the workers rest; each differs from every other by some bytes behind the picture's end."""
    settings = dict(
        line.split("=", 1) for line in (product.data_dir / "findme.env").read_text().splitlines() if "=" in line
    )
    connection = redis.Redis.from_url(settings["REDIS_URL"].strip("'\""))
    suspend(connection)
    photos = demo_photos(30)

    def hand_in(number: int) -> None:
        name, content = photos[number % len(photos)]
        owner.upload(event_id, f"{number}-{name}", content + f"copy {number}".encode())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hand_in, range(WAITING_PHOTOS + 150)))
    resume(connection)
