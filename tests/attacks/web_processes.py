"""The memory of a running product's web processes while several requests are sent to them at once."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from tests.bench.memory import peak
from tests.support.product import PASSWORD, Product

AT_ONCE = 6
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Visitor:
    """A browser: keeps cookies, and sends the token of the page that it has seen."""

    url: str

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.token = ""

    def see(self, path: str) -> "Visitor":
        self.token = _TOKEN.findall(self.session.get(self.url + path, timeout=60).text)[0]
        return self

    def post(self, path: str, **kwargs: object) -> requests.Response:
        headers = {"X-CSRFToken": self.token, **kwargs.pop("headers", {})}  # type: ignore[dict-item]
        return self.session.post(self.url + path, headers=headers, timeout=120, allow_redirects=False, **kwargs)  # type: ignore[arg-type]

    def sign_in(self, login: str) -> "Visitor":
        self.see("/sign-in").post("/sign-in", data={"login": login, "password": PASSWORD})
        return self.see("/studio/events/new")


@dataclass
class Growth:
    """What came back, and by how many MiB the web process that grew most grew at its peak."""

    statuses: list[int]
    megabytes: float


def web_processes(product: Product) -> list[psutil.Process]:
    """Gunicorn's workers, without their master."""
    family = psutil.Process(product.process.pid).children(recursive=True)
    serving = [process for process in family if any("gunicorn" in part for part in process.cmdline())]
    return [process for process in serving if process.ppid() in {other.pid for other in serving}]


def growth(product: Product, send: Callable[[int], requests.Response]) -> Growth:
    """Send AT_ONCE requests at the same time. Their number is given to `send`."""
    before = {}
    for process in web_processes(product):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
        before[process] = process.memory_info().rss / 2**20
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(send, range(AT_ONCE)))
    alive = {process.pid for process in web_processes(product)}
    assert alive == {process.pid for process in before}, "a web process has ended"
    return Growth([answer.status_code for answer in answers], max(peak([p]) - rss for p, rss in before.items()))
