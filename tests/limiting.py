"""An app whose limits are on, as everywhere but in tests."""

from collections.abc import Iterator

from flask import Flask

from webapp import create_app
from webapp.extensions import db, limiter
from webapp.settings import Settings

GUESSES = 30


def limiting(settings: Settings) -> Iterator[Flask]:
    """Make one, and put it away after the test."""
    app = create_app(settings.model_copy(update={"environment": "development"}))
    limiter._storage_dead = False  # the one limiter of this process may have met a Redis that was away
    yield app
    limiter.enabled = False
    with app.app_context():
        db.engine.dispose()
