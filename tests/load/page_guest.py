"""Scenario B: the same guest with a browser. Forms with tokens, cookies, polls at the pace that the page states."""

import html
import random
import re
import time

from gevent import sleep
from locust import constant, task

from tests.load.visitors import PASSWORD, Guest, event_code

THINK = (1.0, 3.0)
"""Seconds for which somebody looks at a page."""
EXTRA = 2.5
"""Seconds between two questions of a page from which on it waits for nothing in particular."""

_ASSET = re.compile(r'(?:href|src)="(/static/[^"]+)"')
_FIELD = re.compile(r'<input[^>]*name="(csrf_token|consent_version)"[^>]*value="([^"]*)"')
_PACE = re.compile(r'hx-trigger="every (\d+)ms')
_NEXT = re.compile(r'hx-get="([^"]+/photos/live[^"]*)"')
_THUMBNAIL = re.compile(r'src="(/media/photos/\w+/thumbnail[^"]*)"')
_PHOTO = re.compile(r'<a href="(/e/[^"/]+/photos/\w+)"')
_PREVIEW = re.compile(r'src="(/media/photos/\w+/preview[^"]*)"')
_REFUSED = "is-refused"

HTMX = {"HX-Request": "true"}


class PageGuest(Guest):
    """Fills in the event's form, watches their photos come, and leafs through them."""

    wait_time = constant(0)

    def on_start(self) -> None:
        self.page = ""
        self.loaded: set[str] = set()
        super().on_start()

    def join(self) -> None:
        landing = f"/e/{event_code()}"
        page = self.open(landing, "GET /e/CODE")
        fields = {name: html.unescape(value) for name, value in _FIELD.findall(page)}
        fields |= {"name": self.name, "email": self.email, "password": PASSWORD, "consent": "y"}
        body, headers = self.multipart(fields)
        search = self.begin_search()
        answer = self.ask("POST", landing, "POST /e/CODE", expect=(204,), data=body, headers=headers | HTMX)
        search.was_answered()
        self.photos = str(answer.headers["HX-Redirect"])
        self.show(self.open(self.photos, "GET /e/CODE/photos"))

    @task
    def look(self) -> None:
        if self.search is None or self.search.over:
            self.leaf()
        else:
            self.search.check_patience()
            self.wait_and_poll()

    def wait_and_poll(self) -> None:
        """One question of the live region, when it asks for it."""
        sleep(self.pace)
        address = html.unescape(_NEXT.findall(self.page)[0])
        answer = self.ask("GET", address, "GET /e/CODE/photos/live", expect=(200, 204), headers=HTMX)
        if answer.status_code == 200:
            self.show(answer.text)

    def leaf(self) -> None:
        """One photo, large, and back; the page asks on while somebody looks at it."""
        until = time.monotonic() + random.uniform(*THINK)
        while time.monotonic() + self.pace < until:
            self.wait_and_poll()
        sleep(max(0.0, until - time.monotonic()))
        photos = _PHOTO.findall(self.page)
        if photos:
            viewer = self.open(random.choice(photos), "GET /e/CODE/photos/ID")
            for address in _PREVIEW.findall(viewer):
                self.load(address, "GET /media preview")
            sleep(random.uniform(*THINK))
        self.show(self.open(self.photos, "GET /e/CODE/photos"))

    @property
    def pace(self) -> float:
        """Seconds to the next question, as the page says."""
        found = _PACE.findall(self.page)
        return int(found[0]) / 1000 if found else EXTRA

    def show(self, page: str) -> None:
        """The page as it is now: its pictures are loaded, and it says how the search goes."""
        self.page = page
        thumbnails = _THUMBNAIL.findall(page)
        for address in thumbnails:
            self.load(html.unescape(address), "GET /media thumbnail")
        search = self.search
        if search is None or search.over:
            return
        if _REFUSED in page:
            search.fails("the page says that the selfie can't be used")
            return
        if thumbnails:
            search.saw_photo()
        if self.pace > EXTRA:
            search.is_done()
            if not thumbnails:
                search.fails("the selfie finds no photo")

    def open(self, address: str, name: str) -> str:
        """A page with its style sheets and scripts, which the browser keeps."""
        page = str(self.ask("GET", address, name).text)
        for asset in _ASSET.findall(page):
            self.load(html.unescape(asset), "GET /static")
        return page

    def load(self, address: str, name: str) -> None:
        """A picture, style sheet or script, unless the browser has it already."""
        if address not in self.loaded:
            self.loaded.add(address)
            self.ask("GET", address, name)
