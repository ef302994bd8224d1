"""Notices a proxy that the settings don't know of: behind it, all guests would share one network address.

Anybody can send a forwarding header, so the alarm only says what to look at, and each process writes it at most once in
ten minutes.
"""

import time
from threading import Lock

from flask import Flask, request

from webapp.services.core import alarms
from webapp.settings import Settings

HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
AGAIN_SECONDS = 600.0


class _Notice:
    """What a process has said about forwarding headers."""

    def __init__(self, *, trusted: bool) -> None:
        self._trusted = trusted
        self._next = 0.0
        """On the monotonic clock; when something may be written."""
        self._lock = Lock()

    def look(self) -> None:
        """Raise the alarm where a header arrives that nobody trusts; take it back where proxies are trusted."""
        header = next((name for name in HEADERS if name in request.environ), None)
        if (header is None and not self._trusted) or time.monotonic() < self._next:
            return
        with self._lock:
            if time.monotonic() < self._next:
                return
            # Where proxies are trusted, one look after the start is enough.
            self._next = float("inf") if self._trusted else time.monotonic() + AGAIN_SECONDS
        if self._trusted:
            alarms.clear(alarms.FORWARDED)
        elif header is not None:
            alarms.raise_alarm(alarms.FORWARDED, header.removeprefix("HTTP_").replace("_", "-").title())


def init_app(app: Flask, settings: Settings) -> None:
    """Look at the headers of every request."""
    app.before_request(_Notice(trusted=settings.trusted_proxies > 0).look)
