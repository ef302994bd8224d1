"""`python -m tests.bench.behind_caddy`: time of a page, direct and through Caddy.

An installation with its default settings and the shipped Caddyfile run on this machine, first alone, then with stalled
connections held against Caddy. The direct requests go to gunicorn's own port. Each figure is of ROUNDS answers.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles

import requests

from tests.bench.report import Figure, report
from tests.support import caddy, product
from tests.support.caddy import Caddy
from tests.support.servers import free_port

ROUNDS = 200
STALLED_OF_EACH_KIND = 100
PAGE = "/sign-in"


def measure() -> Iterator[Figure]:
    """Yield medians and 95th percentiles in ms."""
    port = free_port()
    settings = {"PUBLIC_URL": f"https://localhost:{port}", "TRUSTED_PROXIES": "1"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="findme-bench-")))
        site = stack.enter_context(product.running(folder / "data", **settings))
        upstream = site.url.removeprefix("http://")
        proxy = stack.enter_context(caddy.running(folder / "caddy", upstream, port=port))
        yield from _figures(site.url, proxy, "")
        count = stack.enter_context(proxy.stalled(STALLED_OF_EACH_KIND))
        yield from _figures(site.url, proxy, f", beside {count} stalled")


def _figures(direct: str, proxy: Caddy, beside: str) -> Iterator[Figure]:
    for name, url, keep in (
        ("direct", direct, True),
        ("through Caddy", proxy.url, True),
        ("through Caddy, new connections", proxy.url, False),
    ):
        times = _times(url + PAGE, proxy, keep=keep)
        yield Figure(f"{name}{beside}: median", times[9], "ms")
        yield Figure(f"{name}{beside}: p95", times[18], "ms")


def _times(url: str, proxy: Caddy, *, keep: bool) -> list[float]:
    """Return the 5th, 10th, … 95th percentile of the time until an answer is complete."""
    found = []
    with requests.Session() as session:
        session.headers["Connection"] = "keep-alive" if keep else "close"
        for _ in range(ROUNDS):
            began = time.perf_counter()
            answer = session.get(url, timeout=20, verify=str(proxy.root))
            found.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200
    return quantiles(found, n=20)


if __name__ == "__main__":
    sys.exit(report("behind-caddy", measure()))
