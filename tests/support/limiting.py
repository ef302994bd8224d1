"""An app whose limits are on, as everywhere but in tests."""

from collections.abc import Callable, Iterator

from flask import Flask

from webapp import create_app
from webapp.db.extensions import db
from webapp.settings import Settings
from webapp.web.access import limits

CODES, LOGINS, PASSWORDS = 150, 10, 100
"""Failures that are told: codes from one address, passwords for one login, and for all logins from one address."""


def exhaust(app: Flask, counters: Callable[[], list[limits.Counter]], count: int, address: str = "127.0.0.1") -> None:
    """Count failures of an address as the views do, without the requests: what is under test comes after."""
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        found = counters()
        for _ in range(count):
            app.extensions["limits"].count(found)


def limiting(settings: Settings) -> Iterator[Flask]:
    """Make one, and put it away after the test."""
    app = create_app(settings.model_copy(update={"environment": "development"}))
    yield app
    with app.app_context():
        db.engine.dispose()
