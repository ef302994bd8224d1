"""Limits of failed guesses: codes, passwords, links and checked pictures, each counted apart from the others.

**What is right is served.** The check comes first and only a failure is counted. A failure beyond the limit is answered
by 429 instead of "wrong"; a correct code or password never is. A whole room may share one network address, so no number
of failures from an address blocks those who know the code or their password.

**Wrong guesses get slow.** 429 for wrong and 200 for right would still tell an attacker which is which. So once two
thirds of a limit are used up, each further guess of the same subject (a network address, an account, a login) waits
*before* it is checked: 0.25 s, doubled with every further third, up to `Budget.longest`. Right and wrong guesses wait
alike, and hanging up early gains nothing, because the place stays taken.

**Waiting can't exhaust the threads.** In each process at most half of the threads wait, and at most `Budget.at_once`
for one subject. A guess that finds no place is answered 429 at once, unchecked. Only in this case can something right
be refused: in a rush while the address, or the login, has used up two thirds of its limit, or during a flood from the
same address. A repeated try may get through. These never wait and are never refused: a valid QR token, a browser that
has given the right code before, a member of the event (`webapp.web.access.event_codes`), a browser that has signed in
to the proven account before, a sign-in link, an invitation. API clients have none of the browser's; each call with a
code waits by itself.

**What an attacker can try.** With P = 2 web processes (`WORKERS`), after the first minute:

| guesses | from one address | from all addresses that are slowed down |
|---|---|---|
| codes | P x 6 / 4 s = 10,800 an hour | P x 8 / 4 s = 14,400 an hour |
| passwords of many accounts | the same | the same |
| passwords of one account | P x 2 / 8 s = 1,800 an hour | P x 6 / 8 s = 5,400 an hour |

An address that is not slowed down yet has 100 code guesses in 10 minutes, and 200 more with accounts. A generated code
is one of 31^8 = 8.5 x 10^11: with 1,000 events, 10,800 guesses an hour need six years for an even chance of one hit. A
code of 6 random characters (8.9 x 10^8) resists for years, too, but codes that people choose are words and years: hence
the minimum length and the warning in `webapp.services.events.events`. A password that is not among the most usual
million resists 5,400 tries an hour for a week. What was typed is counted, so an account with a username has two such
counters: were failures counted by account, the counter would tell whether an address has one.

**Nobody is locked out by others.** Failures on a login count apart for browsers that have signed in to the proven
account before (their signed session cookie says so) and for all others. From one address at most two guesses of a login
wait, so that its owner at another one finds a place. On a new device, during an attack from many addresses, owners may
have to try again, and the sign-in link by mail is always open to them. A cookie that anybody can make up
(`webapp.web.access.devices`) counts for nothing here, or each guess would bring a new one.

Counting is atomic: the sum that Redis returns for the addition decides, so of many guesses at once no more than the
limit are told that they are wrong. Without Redis each process counts by itself. Neither addresses nor logins are
written anywhere, only keyed hashes of them.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask, Response, current_app, g, request
from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from webapp.db.extensions import db
from webapp.errors import NotFound, TooMany, Unauthenticated
from webapp.services.accounts import accounts
from webapp.settings import Settings
from webapp.web.access import network
from webapp.web.access.hidden import hidden
from webapp.web.access.limit_storage import CountingStorage
from webapp.web.access.sessions import signed_in, signed_in_before
from webapp.web.access.waiting import WaitingPlaces

FIRST_DELAY = 0.25
USUAL_WAIT = 60
"""Seconds that `Retry-After` names where no counter says better."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many failures a subject has, and how slow its further guesses get."""

    limit: RateLimitItem
    longest: float = 0.0
    """Seconds that a guess waits at most; 0: guesses never wait."""
    at_once: int = 6
    """Guesses of one subject that may wait in a process at the same time."""

    def delay(self, failures: int) -> float:
        """Return the seconds that the next guess waits."""
        steps = 3 * failures // self.limit.amount - 2
        return min(self.longest, FIRST_DELAY * 2**steps) if steps >= 0 else 0.0


CODES = "150 per 10 minutes"
"""The typos of a full room stay far below, and so many guesses are nothing beside the number of codes."""

LOGINS = "10 per 10 minutes"
CHECKS = "60 per minute"

BUDGETS = {
    "codes of address": Budget(parse(CODES), longest=4.0),
    "codes of account": Budget(parse("30 per 10 minutes"), longest=4.0, at_once=2),
    # Accounts are free, so that all of an address are limited together as well.
    "codes of accounts at address": Budget(parse("300 per 10 minutes"), longest=4.0),
    "passwords of address": Budget(parse("100 per 10 minutes"), longest=4.0),
    # From one address two at once: a flood leaves places to the owner, who comes from another one.
    "passwords of login at address": Budget(parse(LOGINS), longest=8.0, at_once=2),
    "passwords of login": Budget(parse(LOGINS), longest=8.0, at_once=6),
    "passwords of owner": Budget(parse(LOGINS), longest=4.0, at_once=2),
    # Of 192 random bits nobody guesses any, so that slowing down would be of no use.
    "links of address": Budget(parse(CODES)),
    # 79 random bits; slow all the same, since people write them down and guesses look alike.
    "recovery codes of address": Budget(parse(CODES), longest=4.0),
    "checks of address": Budget(parse(CHECKS), longest=2.0, at_once=2),
    "checks of account": Budget(parse("30 per minute"), longest=2.0, at_once=1),
    "checks of accounts at address": Budget(parse("600 per minute"), longest=2.0, at_once=2),
    "mails of address": Budget(parse("200 per hour")),
}


@dataclass(frozen=True, slots=True)
class Counter:
    """The failures of one subject for one purpose."""

    name: str
    subject: str

    @property
    def budget(self) -> Budget:
        return BUDGETS[self.name]


class Limits:
    """The counters and waiting places of an app."""

    def __init__(self, settings: Settings) -> None:
        self.enabled = settings.environment != "testing"
        # limits' own storage works with redis-py 8; only the extra of its name refuses to be installed beside it.
        self.storage = CountingStorage(
            settings.redis_url,
            key_prefix="findme:limits",
            # A page never waits for a Redis that is away.
            socket_connect_timeout=1,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),
        )
        self.places = WaitingPlaces(max(1, settings.threads // 2))
        self._windows = FixedWindowRateLimiter(self.storage)

    def count(self, counters: list[Counter]) -> int:
        """Count a failure; returns the seconds to wait if it is one too many, else 0."""
        over = [each for each in counters if not self._windows.hit(each.budget.limit, each.name, each.subject)]
        return max((self._seconds_left(each) for each in over), default=0)

    def delay(self, counter: Counter) -> float:
        """Return the seconds that the next guess of this subject waits."""
        return counter.budget.delay(self.storage.get(_key(counter))) if counter.budget.longest else 0.0

    def _seconds_left(self, counter: Counter) -> int:
        return max(1, math.ceil(self.storage.get_expiry(_key(counter)) - time.time()))


def init_app(app: Flask, settings: Settings) -> None:
    """Make the app's counters. Nothing is connected yet: the app starts without Redis as well."""
    app.extensions["limits"] = Limits(settings)
    app.after_request(_say_when)


@contextmanager
def guess(counters: list[Counter]) -> Iterator[None]:
    """Around a check of something that could be guessed. Call it outside any unit of work: it may wait.

    NotFound and Unauthenticated are failures and counted.

    Raises:
        TooMany: instead of them, beyond the limit; or no place was left to wait in.
    """
    slow_down(counters)
    try:
        yield
    except (NotFound, Unauthenticated) as error:
        count(counters, error)
        raise


def slow_down(counters: list[Counter]) -> None:
    """Wait as long as the failures of these subjects demand.

    Raises:
        TooMany: too many guesses wait already.
    """
    limits = _limits()
    if not limits.enabled:
        return
    slow = {each: seconds for each in counters if (seconds := limits.delay(each))}
    if not slow:
        return
    seconds = max(slow.values())
    # For each of them, or one address would take all places by guessing at many logins.
    with limits.places.take({_key(each): each.budget.at_once for each in slow}) as taken:
        if not taken:
            raise _too_many(math.ceil(seconds))
        # Others use the database connection meanwhile.
        db.session.rollback()
        time.sleep(seconds)


def count(counters: list[Counter], cause: Exception | None = None, code: str = "too_many_guesses") -> None:
    """Count a failure, or whatever else is limited; `code` says what it was too many of.

    Raises:
        TooMany: it is one too many.
    """
    limits = _limits()
    if limits.enabled and (seconds := limits.count(counters)):
        raise _too_many(seconds, code) from cause


def codes() -> list[Counter]:
    """Return the counters of wrong event codes."""
    return _of_account_or_address("codes")


def checks() -> list[Counter]:
    """Return the counters of pictures that are checked and refused."""
    return _of_account_or_address("checks")


def passwords(login: str) -> list[Counter]:
    """Return the counters of wrong passwords for what was typed as name or address."""
    # By what was typed: were it by the account, its counter would tell whether an address has one.
    subject = hidden("login", accounts.username_key(login))
    if accounts.owner_of(login) in signed_in_before():
        return [Counter("passwords of owner", subject)]
    address = _address()
    return [
        Counter("passwords of login", subject),
        Counter("passwords of login at address", f"{subject} {address}"),
        Counter("passwords of address", address),
    ]


def links() -> list[Counter]:
    """Return the counters of sign-in links and invitations that are unknown."""
    return [Counter("links of address", _address())]


def recovery_codes() -> list[Counter]:
    """Return the counters of recovery codes that are unknown."""
    return [Counter("recovery codes of address", _address())]


def mails() -> list[Counter]:
    """Return the counters of mails that are asked for."""
    return [Counter("mails of address", _address())]


def _of_account_or_address(purpose: str) -> list[Counter]:
    user = signed_in()
    if user is None:
        return [Counter(f"{purpose} of address", _address())]
    return [
        Counter(f"{purpose} of account", hidden("account", user.public_id)),
        Counter(f"{purpose} of accounts at address", _address()),
    ]


def _address() -> str:
    return network.hashed(request.remote_addr or "")


def _key(counter: Counter) -> str:
    return str(counter.budget.limit.key_for(counter.name, counter.subject))


def _limits() -> Limits:
    limits: Limits = current_app.extensions["limits"]
    return limits


def _too_many(seconds: int, code: str = "too_many_guesses") -> TooMany:
    error = TooMany(code=code)
    error.seconds = g.retry_after = seconds  # pages that show the error beside a form say it as well
    return error


def _say_when(response: Response) -> Response:
    """Tell those who are limited how many seconds to wait."""
    if response.status_code == 429:
        response.headers["Retry-After"] = str(g.get("retry_after") or USUAL_WAIT)
    return response
