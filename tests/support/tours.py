"""A tour of the pages: what everybody finds by following links."""

import html
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Flask
from jinja2 import Undefined
from jinja2.utils import missing
from werkzeug.exceptions import HTTPException

from tests.support.browsing import HTMX, Browser
from tests.support.messy_event import MessyEvent

THIRD_PARTY = "rq_dashboard."
"""RQ's own pages of the queues: only that an admin gets in is ours."""


NOT_ON_THE_TOUR = {
    "static": "files, not pages",
    "installing.worker": "a script, which pages register (tests/functional/pages/test_offline.py)",
    "uploading.s3_outcomes": "for the upload client alone, where an object store is set up",
    "uploading.s3_part": "for the upload client alone, where an object store is set up",
    "uploading.s3_parts": "for the upload client alone, where an object store is set up",
    "uploading.state": "JSON, for the upload client alone",
}
"""Endpoints with a GET that no page links to, each with the reason."""


SEEN_OFTEN = {"v", "ids", "after", "next"}
"""Parameters of which each value is the same page for the tour."""

ARTEFACTS = re.compile(
    r"\bNone\b(?! yet)|\bundefined\b|\bNaN\b|Traceback|\{\{|\{%|%\(\w+\)|%[sd]\b|object at 0x"
    r"|\bChoice\(|\bdatetime\.|\bLazyString\b|<(?:Photo|Event|User|Person|Camera|Match) "
)
"""What stands in a page only where a template or a translation is wrong."""

KEPT_FOR_SCRIPTS = re.compile(r'data-say-[\w-]+="[^"]*"|<template\b.*?</template>|<script\b.*?</script>', re.DOTALL)
"""Texts with a gap that a script fills in."""


@dataclass
class Tour:
    """One person's way through all that their pages link to."""

    app: Flask
    who: str
    browser: Browser
    language: str
    visited: set[str] = field(default_factory=set)
    """Endpoints."""
    faults: list[str] = field(default_factory=list)
    _known: set[tuple[Any, ...]] = field(default_factory=set)

    def walk(self, *starts: str) -> None:
        waiting = deque((start, False, "start") for start in starts)
        while waiting:
            address, htmx, source = waiting.popleft()
            place = self._place(address, htmx)
            if place is None:
                continue
            for link, by_htmx in self._visit(address, place, htmx, source):
                waiting.append((link, by_htmx, address))

    def _place(self, address: str, htmx: bool) -> str | None:
        """The endpoint of an address that is ours, a GET, and new to this tour."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc or not parts.path:
            return None
        try:
            endpoint, values = self.app.url_map.bind("localhost").match(parts.path, "GET")
        except HTTPException:
            self.faults.append(f"{self.who}: {address} is no page")
            return None
        words = [pair for pair in parse_qsl(parts.query) if pair[0] not in SEEN_OFTEN]
        if endpoint == "static" or (endpoint.startswith(THIRD_PARTY) and endpoint in self.visited) or len(words) > 1:
            return None
        # With a filter, one page of a kind stands for all: only the page's own links differ.
        key = (endpoint, htmx, *(words or sorted(values.items())))
        if key in self._known:
            return None
        self._known.add(key)
        return str(endpoint)

    def _visit(self, address: str, endpoint: str, htmx: bool, source: str) -> Iterator[tuple[str, bool]]:
        headers = {"Accept-Language": self.language} | (HTMX if htmx else {})
        # Without the version that the page has, a poll brings what it would show.
        asked = re.sub(r"([?&])v=[^&]*", r"\1v=", address) if htmx else address
        answer = self.browser.get(asked, headers=headers)
        self.visited.add(endpoint)
        where = f"{self.who}: {address} (from {source})"
        if answer.status_code >= 400:
            self.faults.append(f"{where} answers {answer.status_code}")
        elif "Location" in answer.headers:
            yield answer.headers["Location"], False
        elif answer.mimetype == "text/html" and not endpoint.startswith(THIRD_PARTY):
            page = answer.text
            self.faults += [f"{where} says {found!r}" for found in _artefacts(page)]
            links = _Links()
            links.feed(page)
            yield from links.found
        answer.close()


def tours(messy: MessyEvent, language: str) -> dict[str, Tour]:
    """Everyone's tour of the event as it stands."""
    # Only where calls are billed do pages link to their limit.
    limits = {"owner": [f"{messy.path}/limit"], "admin": [f"/admin/events/{messy.event_id}/limit"]}
    starts = defaultdict(list, limits | {"nobody": messy.links})
    made = {}
    for who, browser in messy.people.items():
        made[who] = Tour(messy.app, who, browser, language)
        made[who].walk("/", f"/e/{messy.world.code}", *starts[who])
    return made


def pages(app: Flask) -> set[str]:
    """Endpoints that have to be on somebody's tour."""
    found = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    ours = {endpoint for endpoint in found if not endpoint.startswith(("api", THIRD_PARTY))}
    return ours - set(NOT_ON_THE_TOUR)


def _artefacts(page: str) -> list[str]:
    text = html.unescape(KEPT_FOR_SCRIPTS.sub("", page))
    return [text[max(0, found.start() - 60) : found.end() + 20] for found in ARTEFACTS.finditer(text)]


class Told(Undefined):
    """An undefined value that raises where a template prints it, or tests an attribute that its object lacks."""

    def __str__(self) -> str:
        return str(self._fail_with_undefined_error())

    def __bool__(self) -> bool:
        if self._undefined_obj is not missing and not isinstance(self._undefined_obj, Mapping):
            self._fail_with_undefined_error()
        return False


class _Links(HTMLParser):
    """What a page asks for or offers to ask for by GET: (address, by htmx)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, bool]] = []
        self._form: str | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("a", "link") and values.get("href"):
            self.found.append((values["href"], False))
        if tag in ("img", "script") and values.get("src"):
            self.found.append((values["src"], False))
        if tag == "meta" and values.get("property") in ("og:url", "og:image"):
            # By PUBLIC_URL, which is where this app is.
            self.found.append((urlsplit(values["content"])._replace(scheme="", netloc="").geturl(), False))
        if "hx-get" in values:
            self.found.append((values["hx-get"], True))
        if tag == "form":
            self._form = values.get("action") if values.get("method", "get") == "get" else None
        if tag == "select":
            self._select = values.get("name", "")
        if tag == "option" and self._form and values.get("value"):
            self.found.append((f"{self._form}?{urlencode({self._select: values['value']})}", False))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
