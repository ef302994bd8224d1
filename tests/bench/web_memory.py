"""How much memory a web process takes while photos of 30 MB come in: by tus as the upload page sends them, several at a
time and in pieces, and by the API as programs send them.
"""

import base64
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import requests

from tests.bench import photo_cost
from tests.bench.cache import made_once
from tests.bench.memory import peak
from tests.bench.report import Figure
from tests.support.product import PASSWORD, Client, Product, photographer, running

FILES, AT_ONCE = 20, 5
BYTES, PIECE = 30 * 1024 * 1024, 8 * 1024 * 1024
MOST_MEMORY = 200

_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_TUS = {"Tus-Resumable": "1.0.0"}


def measure(cache: Path) -> Iterator[Figure]:
    source = made_once(cache / "photos-portraits-1", photo_cost._make_photos) / "24mp-1.jpg"
    with tempfile.TemporaryDirectory(prefix="findme-bench-") as folder, running(Path(folder) / "data") as product:
        owner = photographer(product)
        event = owner.post("/photographer/events", json={"name": "Bench", "date": "2026-06-20"})["id"]
        yield Figure("web process before the first upload", peak(_web(product)), "MiB")
        browser, token = _signed_in(product)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            by_tus = [pool.submit(_by_tus, browser, token, product, event, _file(source, n)) for n in range(FILES)]
            taken = sum(upload.result() == "accepted" for upload in by_tus)
        yield Figure(f"photos of 30 MB taken in by tus, {AT_ONCE} at a time", taken, "photos", at_least=FILES)
        yield Figure("peak memory of a web process after it", peak(_web(product)), "MiB", at_most=MOST_MEMORY)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for upload in [pool.submit(_by_api, owner, event, _file(source, FILES + n), n) for n in range(FILES)]:
                upload.result()
        yield Figure(
            "peak memory of a web process after as many by the API", peak(_web(product)), "MiB", at_most=MOST_MEMORY
        )


def _file(source: Path, number: int) -> bytes:
    """A photo of 30 MB; what differs behind the picture's end makes other bytes of each."""
    content = source.read_bytes() + f"{number}".encode()
    return content + bytes(BYTES - len(content))


def _web(product: Product) -> list[psutil.Process]:
    """Gunicorn's master and its workers."""
    family = psutil.Process(product.process.pid).children(recursive=True)
    return [process for process in family if any("gunicorn" in part for part in process.cmdline())]


def _signed_in(product: Product) -> tuple[dict[str, str], str]:
    """The cookies of the photographer's browser, and its CSRF token."""
    with requests.Session() as browser:
        page = browser.get(f"{product.url}/sign-in", timeout=30).text
        form = {"csrf_token": _TOKEN.findall(page)[0], "login": "photographer@example.com", "password": PASSWORD}
        browser.post(f"{product.url}/sign-in", data=form, timeout=30).raise_for_status()
        page = browser.get(f"{product.url}/studio/events/new", timeout=30).text
        return browser.cookies.get_dict(), _TOKEN.findall(page)[0]


def _by_tus(cookies: dict[str, str], token: str, product: Product, event_id: str, content: bytes) -> str:
    """Send a file in pieces; returns what the server says became of it."""
    headers = {**_TUS, "X-CSRFToken": token}
    name = base64.b64encode(b"large.jpg").decode()
    with requests.Session() as browser:
        browser.cookies.update(cookies)
        answer = browser.post(
            f"{product.url}/studio/events/{event_id}/files",
            headers={**headers, "Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"},
            timeout=60,
        )
        answer.raise_for_status()
        address = product.url + answer.headers["Location"]
        for offset in range(0, len(content), PIECE):
            place = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            answer = browser.patch(address, data=content[offset : offset + PIECE], headers=headers | place, timeout=120)
            answer.raise_for_status()
        return answer.headers["FindMe-Status"]


def _by_api(owner: Client, event_id: str, content: bytes, number: int) -> None:
    owner.upload(event_id, f"large-{number}.jpg", content)
