"""FindMe: guests find their photos with a selfie. docs/architecture.md says what lies where.

Here is only how the app is made, and small modules that several folders need; whatever has an area is in its folder.
Importing this takes nothing: supervisors, RQ's workers and gunicorn's master use some modules of it and no app.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.settings import Settings


def create_app(settings: "Settings") -> "Flask":
    """The app with everything bound. Reads nothing but `settings`.

    Raises:
        ConfigurationError: these settings would put people at risk; says which and why.
    """
    load_app()
    from webapp.wiring import wire

    return wire(settings)


def load_app() -> None:
    """Import what an app is made of, if that has not been done."""
    import sys

    from webapp.processes import loading

    if "webapp.wiring" not in sys.modules:
        with loading():
            import webapp.wiring  # noqa: F401 - it is loaded for all
