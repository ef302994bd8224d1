"""An app whose limits are on, as everywhere but in tests."""

from collections.abc import Iterator

from flask import Flask

from webapp import create_app
from webapp.extensions import db
from webapp.settings import Settings

CODES, LOGINS, PASSWORDS = 60, 10, 30
"""Failures that are told: codes and passwords from one address, passwords for one login."""


def limiting(settings: Settings) -> Iterator[Flask]:
    """Make one, and put it away after the test."""
    app = create_app(settings.model_copy(update={"environment": "development"}))
    yield app
    with app.app_context():
        db.engine.dispose()
