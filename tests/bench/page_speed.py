"""How long the studio's pages take for an event of 10,000 photos beside one of 100, with the same guests.

The app answers in this process, so that nothing hides the difference; each figure is the median of ROUNDS answers. The
overview keeps what it counted until something of the event changes: *cold* is an answer right after a change.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import psycopg
from flask import Flask
from flask_migrate import upgrade
from redis import Redis
from werkzeug.test import TestResponse

from tests.bench.filled_event import fill
from tests.bench.report import Figure
from tests.support.browsing import HTMX, Browser
from tests.support.crowd import asked
from tests.support.servers import postgres, valkey
from webapp import create_app
from webapp.db.extensions import db
from webapp.models import UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.settings import Settings

FEW, MANY, GUESTS = 100, 10_000, 300
ROUNDS = 15
MOST_RATIO = 2.0

PAGES = {
    "overview": "/studio/events/{}",
    "overview's live region": "/studio/events/{}/live",
    "photos": "/studio/events/{}/photos",
    "photos' counts": "/studio/events/{}/photos/live",
    "photos with filters": "/studio/events/{}/photos?filters=",
    "guests": "/studio/events/{}/guests",
    "guests without a photo": "/studio/events/{}/guests?show=none-yet&q=guest",
}
COUNTED = ("overview", "overview's live region")
"""Pages that remember what they counted."""

OWNER, PASSWORD = "photographer@example.com", "correct horse battery"


def measure(_cache: Path) -> Iterator[Figure]:
    for kind in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="findme-bench-")))
            redis = stack.enter_context(valkey())
            url = f"sqlite:///{folder / 'bench.sqlite'}" if kind == "sqlite" else bench_database(stack)
            app = bench_app(folder, redis.url, url)
            few, many = _events(app)
            browser = Browser(app).sign_in(OWNER, PASSWORD)
            for name, address in PAGES.items():
                for cold in (False, True) if name in COUNTED else (False,):
                    label = f"{kind}: {name}{', cold' if cold else ''}"
                    yield from _compared(
                        label, browser, redis.client(), [address.format(few), address.format(many)], cold
                    )


def _compared(label: str, browser: Browser, redis: Redis, pages: list[str], cold: bool) -> Iterator[Figure]:
    """A page of the small and of the large event: the times, their ratio, and the numbers of queries."""
    times: list[list[float]] = [[], []]
    counts = [0, 0]
    for number, page in enumerate(pages):
        with asked(browser.app) as noted:
            _get(browser, redis, page, cold)
        counts[number] = len(noted.statements)
    for _ in range(ROUNDS):
        for number, page in enumerate(pages):
            times[number].append(_get(browser, redis, page, cold))
    small, large = (median(one) * 1000 for one in times)
    yield Figure(f"{label}, {FEW} photos", small, "ms")
    yield Figure(f"{label}, {MANY} photos", large, "ms")
    yield Figure(f"{label}, ratio", large / small, "", at_most=MOST_RATIO)
    yield Figure(f"{label}, queries with {MANY}", counts[1], "", at_most=counts[0])


def _get(browser: Browser, redis: Redis, page: str, cold: bool) -> float:
    """Seconds that an answer took."""
    if cold and (known := list(redis.scan_iter("findme:live:*"))):
        redis.delete(*known)
    started = time.perf_counter()
    answer: TestResponse = browser.get(page, headers=HTMX if page.endswith("/live") else {})
    took = time.perf_counter() - started
    if answer.status_code != 200:
        raise RuntimeError(f"{page}: {answer.status}")
    return took


def bench_app(folder: Path, redis_url: str, database_url: str) -> Flask:
    """An app on servers of the measurement's own."""
    values = {"data_dir": folder, "redis_url": redis_url, "database_url": database_url, "secret_key": "b" * 40}
    return create_app(Settings(_env_file=None, environment="testing", public_url="http://localhost", **values))


def bench_database(stack: ExitStack) -> str:
    """The address of an empty PostgreSQL database."""
    server = stack.enter_context(postgres())
    with server.connect() as connection:
        connection.execute("CREATE DATABASE bench")
    return f"{server.url}/bench"


def _events(app: Flask) -> list[str]:
    """The small and the large event of one photographer: their public ids."""
    with app.app_context():
        upgrade()
        with unit_of_work():
            owner = accounts.create_user(
                email=OWNER,
                name="owner",
                password_hash=accounts.hash_password(PASSWORD),
                role=UserRole.PHOTOGRAPHER,
                verified=True,
            )
            db.session.flush()
            made = [fill(owner, code, photos=photos, guests=GUESTS) for code, photos in (("FEW", FEW), ("MANY", MANY))]
        if db.engine.dialect.name == "postgresql":
            # As its own upkeep does within a minute.
            with psycopg.connect(db.engine.url.render_as_string(False).replace("+psycopg", ""), autocommit=True) as raw:
                raw.execute("VACUUM ANALYZE")
        return made
