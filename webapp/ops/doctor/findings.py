"""What a check found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import redis
from sqlalchemy import Engine

from webapp import queueing
from webapp.ops import starting
from webapp.settings import Settings

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one part, in a sentence, and what mends it."""

    name: str
    state: State
    sentence: str
    mend: str = ""


@dataclass
class Context:
    """What checks look at, and what earlier ones found out."""

    settings: Settings
    missing: set[str] = field(default_factory=set)
    """Parts that did not answer: `database`, `redis`. Checks that need one of them are left out."""

    @cached_property
    def engine(self) -> Engine:
        """The database, by connections that are not kept."""
        return starting.open_engine(self.settings)

    @cached_property
    def redis(self) -> redis.Redis:
        """Redis, with the short patience of pages."""
        return queueing.connect(self.settings)


Check = Callable[[Context], Iterator[Finding]]


def ok(name: str, sentence: str) -> Finding:
    """Nothing to do."""
    return Finding(name, "ok", sentence)


def warn(name: str, sentence: str, mend: str) -> Finding:
    """It works, and something should be looked at."""
    return Finding(name, "warn", sentence, mend)


def fail(name: str, sentence: str, mend: str) -> Finding:
    """It does not work, or puts people at risk."""
    return Finding(name, "fail", sentence, mend)
