"""The app of a test process: made once for each kind of settings, and lent to every test as it was when it was new.

Making one takes 85 to 100 ms, most of it the API's documentation and the routes. What a test exchanges on the app (its
settings, its store, its Redis) and what a second app changes on Flask's extensions, which a process has only once, is
put back before the next test.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from jinja2 import FileSystemBytecodeCache

from tests.support import faces, memory
from webapp import create_app, observability, storage
from webapp.db.extensions import babel, csrf, db, htmx, login_manager, migrate, talisman
from webapp.faces import Engine
from webapp.faces.local.index import LocalFaceIndex
from webapp.settings import Settings

_EXTENSIONS = (babel, csrf, htmx, login_manager, migrate, talisman)
_OF_ONE_TEST = {"data_dir"}
"""Settings that differ from test to test and that a made app can exchange."""


class _Made:
    """An app, and what it was like when it was new."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)
        # Shared by all test processes: templates are compiled once a run.
        self.app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(faces.scratch() / "templates"))
        self._extensions = dict(self.app.extensions)
        self._config = dict(self.app.config)
        self._globals = [dict(vars(extension)) for extension in _EXTENSIONS]

    def renew(self, settings: Settings) -> Flask:
        """Put everything back, with the folder and the store of these settings."""
        for target, before in (
            (self.app.extensions, self._extensions),
            (self.app.config, self._config),
            *zip(map(vars, _EXTENSIONS), self._globals, strict=True),
        ):
            target.clear()
            target.update(before)
        observability.configure_logging(settings)
        self.app.extensions["settings"] = settings
        self.app.extensions["blobs"] = storage.open_store(settings)
        # Its jobs find the models loaded.
        self.app.extensions["face_engines"] = {
            "local": Engine(memory.engine(), LocalFaceIndex(), onlooker=memory.engine())
        }
        return self.app


class ProcessApps:
    """The apps of one test process."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    @contextmanager
    def lent(self, settings: Settings) -> Iterator[Flask]:
        """The app for these settings, for the length of a block."""
        app = self._of(settings).renew(settings)
        try:
            with memory.at_work():
                yield app
        finally:
            with app.app_context():
                db.session.remove()
                if settings.is_sqlite:  # its file is exchanged; connections to PostgreSQL stay open for the next test
                    db.engine.dispose()

    def close(self) -> None:
        """Hang up all connections."""
        for made in self._made.values():
            with made.app.app_context():
                db.engine.dispose()

    def _of(self, settings: Settings) -> _Made:
        key = repr(sorted(_plain(settings.model_dump(exclude=_OF_ONE_TEST)).items()))
        if key not in self._made:
            self._made[key] = _Made(settings)
        return self._made[key]


def _plain(values: dict[str, Any]) -> dict[str, str]:
    """Values that can be compared as text, secrets included."""
    return {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in values.items()
    }
