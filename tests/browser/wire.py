"""What a page costs over the wire, and when it shows something, in a real browser on a network that is emulated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

WEAK = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""400 kbit/s each way, and 400 ms to the first byte of an answer."""

_WATCH = """
window.seen = {shift: 0, cover: null};
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (entry.url.includes("/cover")) window.seen.cover ??= entry.startTime / 1000;
}).observe({type: "largest-contentful-paint", buffered: true});
"""


@dataclass
class Cost:
    """The answers of one visit; `bytes` by type are those on the wire, with headers."""

    bytes: dict[str, int] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    addresses: list[str] = field(default_factory=list)

    def of(self, *types: str) -> int:
        """Bytes of these types: Document, Stylesheet, Script, Font, Image, Manifest, Fetch, XHR, Other."""
        return sum(self.bytes.get(name, 0) for name in types)

    @property
    def without_pictures(self) -> int:
        """Bytes of all types but pictures."""
        return sum(self.bytes.values()) - self.of("Image", "Media")


@contextmanager
def counted(page: Page, network: dict[str, Any] | None = None) -> Iterator[Cost]:
    """Count what a page's requests cost within the block, with an empty cache."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    if network:
        session.send("Network.emulateNetworkConditions", network)
    cost, types = Cost(), {}

    def answered(event: dict[str, Any]) -> None:
        address = urlsplit(event["response"]["url"])
        if address.scheme in ("http", "https"):
            types[event["requestId"]] = event["type"]
            cost.hosts.add(address.netloc)
            cost.addresses.append(event["response"]["url"])

    def finished(event: dict[str, Any]) -> None:
        if (name := types.get(event["requestId"])) is not None:
            cost.bytes[name] = cost.bytes.get(name, 0) + event["encodedDataLength"]

    session.on("Network.responseReceived", answered)
    session.on("Network.loadingFinished", finished)
    page.add_init_script(_WATCH)
    yield cost
    session.detach()


def first_contentful_paint(page: Page) -> float:
    """Seconds from the navigation to the first text or picture."""
    found = page.evaluate("performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)")
    assert found, "nothing was painted"
    return float(found[0]) / 1000


def cover_paint(page: Page) -> float:
    """Seconds from the navigation to the event's cover."""
    found = page.evaluate("window.seen.cover")
    assert found is not None, "the cover was never the largest thing that is painted"
    return float(found)


def layout_shift(page: Page) -> float:
    """The page's cumulative layout shift so far."""
    return float(page.evaluate("window.seen.shift"))
