"""The pause that everything makes while the server is away: it grows with each fault, and the first success ends it."""

import random
import time

from webapp.watching.server import LONGEST_PAUSE

FIRST_PAUSE = 1.0


class Patience:
    """Used by one thread, which hands the work out: while it lasts, one try at a time finds out how things stand."""

    def __init__(self) -> None:
        self._until = 0.0
        self._faults = 0
        self._away_since: float | None = None
        self.why = ""

    @property
    def is_tried(self) -> bool:
        """Whether the last thing heard was a fault."""
        return self._away_since is not None

    def fault(self, why: str, at_least: float = 0.0) -> None:
        """The server did not take something; several tries that met the same gap make one pause."""
        now = time.monotonic()
        self.why = why
        if self._away_since is None:
            self._away_since = now
        if now < self._until:
            return
        pause = min(FIRST_PAUSE * 2**self._faults, LONGEST_PAUSE) * random.uniform(0.75, 1.0)
        self._faults = min(self._faults + 1, 10)
        self._until = now + max(pause, at_least)

    def over(self) -> None:
        """The server has answered as it should."""
        self._faults, self._until, self._away_since, self.why = 0, 0.0, None, ""

    def seconds_left(self) -> float:
        """Of the present pause."""
        return max(0.0, self._until - time.monotonic())

    def away_for(self) -> float:
        """Seconds since the first fault that nothing good followed."""
        return 0.0 if self._away_since is None else time.monotonic() - self._away_since
