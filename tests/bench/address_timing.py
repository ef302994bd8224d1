"""Whether the time of an answer tells that an address has an account: medians of ROUNDS calls of each kind.

Every call is made with an address of its own, in turn for proven, unproven and unknown ones, in this process. Two
groups of unknown addresses are measured beside each other: how far they differ is the noise.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from flask import Flask
from flask_migrate import upgrade

from tests.bench.page_speed import bench_app, bench_database
from tests.bench.report import Figure
from tests.support.browsing import Browser
from tests.support.servers import valkey
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.events import events
from webapp.services.joining import enrolment

ROUNDS = 200
MOST_DIFFERENCE = 5.0
"""Per cent, or twice the noise where that is more. Four hashes beside three would differ by more than 25."""

PASSWORD, CODE = "correct horse battery", "TIMING234"
GROUPS = ("unknown", "unknown again", "proven", "unproven")
Call = Callable[[Browser, str, int], int]


def measure(_cache: Path) -> Iterator[Figure]:
    for kind in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="findme-bench-")))
            redis = stack.enter_context(valkey())
            url = f"sqlite:///{folder / 'bench.sqlite'}" if kind == "sqlite" else bench_database(stack)
            app = bench_app(folder, redis.url, url)
            _make_accounts(app)
            for name, call in CALLS.items():
                yield from _compared(f"{kind}: {name}", app, call)


def _compared(label: str, app: Flask, call: Call) -> Iterator[Figure]:
    browser = Browser(app)
    browser.get("/sign-in")
    times: dict[str, list[float]] = {group: [] for group in GROUPS}
    call(browser, "warm@example.com", 10**6)
    for number in range(ROUNDS):
        # Whoever goes first in a round pays for what the round before left behind.
        for place in range(len(GROUPS)):
            group = GROUPS[(place + number) % len(GROUPS)]
            address = f"{group.replace(' ', '-')}{number}@example.com"
            started = time.perf_counter()
            call(browser, address, GROUPS.index(group) * ROUNDS + number)
            times[group].append((time.perf_counter() - started) * 1000)
    base = median(times["unknown"])
    yield Figure(f"{label}, an unknown address", base, "ms")
    noise, *differences = (abs(median(times[group]) / base - 1) * 100 for group in GROUPS[1:])
    yield Figure(f"{label}, noise", noise, "%")
    for group, difference in zip(GROUPS[2:], differences, strict=True):
        most = max(MOST_DIFFERENCE, 2 * noise)
        yield Figure(f"{label}, {group} differs by", difference, "%", at_most=most)


def _sign_in(browser: Browser, address: str, _number: int) -> int:
    return browser.client.post("/api/login", json={"username": address, "password": "a wrong one"}).status_code


def _ask_for_link(browser: Browser, address: str, _number: int) -> int:
    return browser.submit("/sign-in/link", {"email": address}, page="/sign-in").status_code


def _join(browser: Browser, address: str, number: int) -> int:
    user = {"username": f"newcomer {number}", "email": address, "password": PASSWORD}
    body = {"user_data": user, "event_code": CODE, "consent": True}
    return browser.client.post("/api/register-with-event-code", json=body).status_code


CALLS: dict[str, Call] = {"wrong password": _sign_in, "asking for a link": _ask_for_link, "joining": _join}


def _make_accounts(app: Flask) -> None:
    with app.app_context():
        upgrade()
        password_hash = accounts.hash_password(PASSWORD)
        with unit_of_work():
            owner = accounts.create_user(
                email="owner@example.com", name="Owner", role=UserRole.PHOTOGRAPHER, verified=True
            )
            event = events.create_event(owner, name="Timing", date=utcnow().date(), code=CODE)
            for number in range(ROUNDS):
                for group in ("proven", "unproven"):
                    user = accounts.create_user(
                        email=f"{group}{number}@example.com",
                        name=group,
                        password_hash=password_hash,
                        verified=group == "proven",
                    )
                    enrolment.join(event, user)
        db.session.remove()
