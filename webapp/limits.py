"""Guessing is slow: how many failed tries one address gets at codes, passwords and links.

What succeeds does not count, since at an event everybody comes from one address: the venue's.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Response

from webapp.extensions import limiter

GUESSES = "30 per minute"

View = TypeVar("View", bound=Callable[..., Any])


def guesses(*failures: int, **options: Any) -> Callable[[View], View]:
    """Let views be called with so many failures only, all of them together. `failures`: the statuses that are one."""

    def failed(response: Response) -> bool:
        return response.status_code in failures or _is_told_wrong(response)

    limit = limiter.shared_limit(GUESSES, scope="guesses", deduct_when=failed, **options)
    return cast("Callable[[View], View]", limit)


def _is_told_wrong(response: Response) -> bool:
    """Whether it is the API's friendly answer to a code that is none."""
    said = response.get_json(silent=True) if response.is_json else None
    return isinstance(said, dict) and said.get("valid") is False
