"""The app inside a worker's horse: made once per process, after the fork."""

from functools import cache

from flask import Flask

from webapp import create_app
from webapp.services.upkeep import installation_check
from webapp.settings import Settings


@cache
def get_app() -> Flask:
    """The one app of this process.

    Raises:
        ConfigurationError: it can't be started with these settings, or would not see the blobs of the others.
    """
    app = create_app(Settings.from_env())
    with app.app_context():
        installation_check.check_blob_store()
    return app
