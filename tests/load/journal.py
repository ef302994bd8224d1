"""What locust does not keep: every request with its moment, and how long each guest's search took.

With LOAD_JOURNAL=FILE they are written there, one JSON object a line. Locust's own reports show the searches as well,
as entries of the type SEARCH, whose times are counted from the moment in which the selfie was sent.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from locust import events
from locust.env import Environment

SEARCH = "SEARCH"
DONE, FIRST_PHOTO = "selfie sent → done", "selfie sent → first own photo"
PATIENCE = 60.0
"""Seconds after which a search that has not come to an end counts as failed."""


class Journal:
    """The file, if one is wished for."""

    def __init__(self) -> None:
        self._file: TextIO | None = None

    def open(self, path: str) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - it lives as long as the process

    def write(self, **row: Any) -> None:
        if self._file:
            self._file.write(json.dumps(row) + "\n")

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


journal = Journal()


@events.init.add_listener
def _begin(environment: Environment, **_: Any) -> None:
    if path := os.environ.get("LOAD_JOURNAL"):
        journal.open(path)


@events.request.add_listener
def _request(request_type: str, name: str, response_time: float, exception: Any, start_time: float, **_: Any) -> None:
    fault = str(exception) if exception else None
    journal.write(kind=request_type, name=name, at=start_time, ms=response_time, fault=fault)


@events.quit.add_listener
def _end(**_: Any) -> None:
    journal.close()


@dataclass
class Search:
    """One guest's selfie, from its sending to their photos."""

    photos_are_enough: bool = False
    """Where thousands of photos wait, a search is not done for minutes; then the first photo is all that is asked."""
    sent: float = field(default_factory=time.time)
    answered: float | None = None
    done: float | None = None
    first: float | None = None
    over: bool = False

    def was_answered(self) -> None:
        self.answered = time.time()

    def saw_photo(self) -> None:
        """The first of their photos is in front of the guest."""
        if self.first is None:
            self.first = time.time()
            _fire(FIRST_PHOTO, self.sent, self.first)
        self._look()

    def is_done(self) -> None:
        """The product says that the search has come to its end."""
        if self.done is None:
            self.done = time.time()
            _fire(DONE, self.sent, self.done)
        self._look()

    def fails(self, why: str) -> None:
        """It comes to no good end; told once."""
        if not self.over:
            self.over = True
            _fire(FIRST_PHOTO if self.first is None else DONE, self.sent, time.time(), why)
            self._write(why)

    def check_patience(self) -> None:
        if not self.over and time.time() - self.sent > PATIENCE:
            self.fails(f"not over after {PATIENCE:.0f} s")

    def _look(self) -> None:
        if not self.over and self.first and (self.done or self.photos_are_enough):
            self.over = True
            self._write(None)

    def _write(self, fault: str | None) -> None:
        moments = {"sent": self.sent, "answered": self.answered, "done": self.done, "first": self.first}
        journal.write(kind="search", fault=fault, **moments)


def _fire(name: str, start: float, end: float, fault: str | None = None) -> None:
    events.request.fire(
        request_type=SEARCH,
        name=name,
        response_time=(end - start) * 1000,
        response_length=0,
        exception=RuntimeError(fault) if fault else None,
        context={},
        start_time=start,
        url="",
        response=None,
    )
