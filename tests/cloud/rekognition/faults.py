"""What tests make go wrong, and for how long."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Literal

from tests.cloud.rekognition.wire import ServiceError

Kind = Literal["slow", "refuse", "lose"]

_STATUS_CODES = {500: "InternalServerError", 503: "ServiceUnavailableException"}


@dataclass(slots=True)
class Rule:
    """One thing that goes wrong: for the next `left` calls, or (None) until told otherwise."""

    kind: Kind
    operation: str | None
    left: int | None
    seconds: float = 0.0
    error: Callable[[], ServiceError] | None = None
    key: str | None = None


@dataclass(slots=True)
class Quota:
    """A bucket of tokens that fills by the clock; holds at most a second's worth, and at least one."""

    per_second: float
    tokens: float
    filled_at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        """Whether there was one left."""
        now = time.monotonic()
        self.tokens = min(max(1.0, self.per_second), self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Faults:
    """Told by tests, asked by the server; safe for several threads.

    In each method, `operation` means only that one (None: every one), and `times` the next that many calls of it (None:
    until `calm`). Several rules may hold at once; of two of a kind the older one comes first.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._rules: list[Rule] = []
        self._quotas: dict[str, Quota] = {}
        self._waiting: set[Event] = set()
        self.answer_limit: int | None = None
        self.page_limit: int | None = None

    def throttle(
        self, operation: str | None = None, *, times: int | None = None, error: str = "ThrottlingException"
    ) -> None:
        """Refuse calls as too many; `ProvisionedThroughputExceededException` is the other word for it."""
        message = {"ThrottlingException": "Rate exceeded"}.get(error, "Provisioned rate exceeded")
        self._add(Rule("refuse", operation, times, error=lambda: ServiceError(error, message)))

    def fail(
        self, operation: str | None = None, *, times: int | None = 1, status: int = 500, error: str | None = None
    ) -> None:
        """Answer an error without doing the work; `error` is any code of the service's, by default the status's own."""
        code = error or _STATUS_CODES.get(status, "InternalServerError")
        self._add(Rule("refuse", operation, times, error=lambda: ServiceError(code, "It was told to fail.", status)))

    def deny(self, operation: str | None = None, *, key: str | None = None) -> None:
        """Take the right away, from one access key or from everybody."""
        message = "User is not authorized to perform this operation"
        error = lambda: ServiceError("AccessDeniedException", message)  # noqa: E731 - a line beside its like
        self._add(Rule("refuse", operation, None, error=error, key=key))

    def slow(self, seconds: float, operation: str | None = None, *, times: int | None = None) -> None:
        """Let this long pass before the work is done, or until `calm`."""
        self._add(Rule("slow", operation, times, seconds=seconds))

    def lose(self, operation: str | None = None, *, times: int | None = 1) -> None:
        """Do the work and close the connection without a word."""
        self._add(Rule("lose", operation, times))

    def quota(self, operation: str, per_second: float) -> None:
        """Refuse what comes faster: ThrottlingException. Starts full."""
        with self._lock:
            self._quotas[operation] = Quota(per_second, tokens=max(1.0, per_second))

    def limit_answers(self, most: int | None) -> None:
        """Cut the answers of searches, as the service does silently beyond its own maximum."""
        self.answer_limit = most

    def limit_pages(self, most: int | None) -> None:
        """Cut lists into pages of at most so many entries, whatever was asked for."""
        self.page_limit = most

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._rules, self._quotas = [], {}
            self.answer_limit = self.page_limit = None
        self.wake()

    def wake(self) -> None:
        """End the waiting of calls that were told to be slow."""
        with self._lock:
            for event in self._waiting:
                event.set()

    def wait(self, operation: str, key: str = "") -> None:
        """Let the time pass that a call is to take."""
        rule = self.take("slow", operation, key)
        if rule is not None:
            over = Event()
            with self._lock:
                self._waiting.add(over)
            over.wait(rule.seconds)
            with self._lock:
                self._waiting.discard(over)

    def take(self, kind: Kind, operation: str, key: str = "") -> Rule | None:
        """The rule of this kind that holds for a call, if any; it is used up by one."""
        with self._lock:
            for rule in self._rules:
                if rule.kind == kind and rule.operation in (None, operation) and rule.key in (None, key):
                    if rule.left is not None:
                        rule.left -= 1
                        if rule.left <= 0:
                            self._rules.remove(rule)
                    return rule
        return None

    def refuse(self, operation: str, key: str = "") -> None:
        """Raise what a call is to be refused with, if anything.

        Raises:
            ServiceError: as told.
        """
        rule = self.take("refuse", operation, key)
        if rule is not None and rule.error is not None:
            raise rule.error()
        with self._lock:
            quota = self._quotas.get(operation)
            if quota is not None and not quota.take():
                raise ServiceError("ThrottlingException", "Rate exceeded")

    def _add(self, rule: Rule) -> None:
        if rule.left is None or rule.left > 0:
            with self._lock:
                self._rules.append(rule)
