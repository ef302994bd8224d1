"""How many failed tries one address gets at codes, passwords and links, and at pictures that are checked for anybody.

What succeeds does not count, since at an event everybody comes from one address: the venue's. Redis counts for all web
processes together; while it is away or refuses to write, each counts by itself.
"""

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import redis
from flask import Flask, Response, current_app
from flask_limiter.util import get_remote_address
from redis.backoff import NoBackoff
from redis.retry import Retry

from webapp import limit_storage
from webapp.extensions import limiter
from webapp.settings import Settings

GUESSES = "30 per minute"

CHECKS = "60 per minute"
"""Pictures from one address that were checked and not found to be fine, or not in time. Each costs a worker seconds."""

WINDOW = 60
"""Seconds after which failures are forgotten."""

View = TypeVar("View", bound=Callable[..., Any])


def init_app(app: Flask, settings: Settings) -> None:
    """Bind flask-limiter to the installation's Redis. Nothing is connected yet: the app starts without it as well."""
    app.config.update(
        # limits' own storage works with redis-py 8; only the extra of its name refuses to be installed beside it.
        RATELIMIT_STORAGE_URI=f"{limit_storage.SCHEME}{settings.redis_url}",
        # A page never waits for a Redis that is away.
        RATELIMIT_STORAGE_OPTIONS={
            "socket_connect_timeout": 1,
            "socket_timeout": 1,
            "retry": Retry(NoBackoff(), 0),
        },
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        # Redis may go between the look before a view and the count after it: no reason to spoil the answer.
        RATELIMIT_SWALLOW_ERRORS=True,
        RATELIMIT_KEY_PREFIX="findme",
        RATELIMIT_ENABLED=settings.environment != "testing",
    )
    limiter.init_app(app)
    app.after_request(_say_when)


def guesses(*failures: int, **options: Any) -> Callable[[View], View]:
    """Let views be called with so many failures only, all of them together. `failures`: the statuses that are one."""

    def failed(response: Response) -> bool:
        return response.status_code in failures or _is_told_wrong(response)

    return _limiting(limiter.shared_limit(GUESSES, scope="guesses", deduct_when=failed, key_func=_caller, **options))


def checks() -> Callable[[View], View]:
    """Limit how many pictures a view may find to be anything but valid. Good selfies don't count: all guests of a venue
    have one address.
    """
    return _limiting(limiter.shared_limit(CHECKS, scope="checks", deduct_when=_is_not_told_valid, key_func=_caller))


def _limiting(limit: Callable[..., Any]) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        limited = cast("View", limit(view))
        limited.is_limited = True  # type: ignore[attr-defined]
        return limited

    return decorate


def is_limited(view: Callable[..., Any]) -> bool:
    """Whether too many failures close this view for a while."""
    return getattr(view, "is_limited", False)


def _caller() -> str:
    """Who calls, without the address itself being written anywhere. Of IPv6, whose customers have 2⁶⁴ addresses each,
    the network counts.
    """
    address = get_remote_address()
    try:
        if ipaddress.ip_address(address).version == 6:
            address = str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        pass  # a socket's name has no network
    secret = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.new(secret, address.encode(), hashlib.sha256).hexdigest()[:24]


def _say_when(response: Response) -> Response:
    """Tell those who are limited how many seconds to wait."""
    if response.status_code == 429:
        response.headers["Retry-After"] = str(_seconds_left())
    return response


def _seconds_left() -> int:
    try:
        limit = limiter.current_limit
        return WINDOW if limit is None else max(1, int(limit.reset_at - time.time()) + 1)
    except redis.RedisError:
        return WINDOW


def _is_told_wrong(response: Response) -> bool:
    """Whether it is the API's friendly answer to a code that is none."""
    said = response.get_json(silent=True) if response.is_json else None
    return isinstance(said, dict) and said.get("valid") is False


def _is_not_told_valid(response: Response) -> bool:
    said = response.get_json(silent=True) if response.is_json else None
    return not (isinstance(said, dict) and said.get("valid") is True)
