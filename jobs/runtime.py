"""The app inside a worker's horse: made once per process, after the fork."""

from functools import cache

from flask import Flask

from webapp import create_app
from webapp.settings import Settings


@cache
def get_app() -> Flask:
    """The one app of this process."""
    return create_app(Settings.from_env())
