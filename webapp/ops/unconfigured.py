"""What the `flask` command does where the app can't be made: `findme doctor` says why, all else is refused."""

import os
import sys

from flask import Flask
from flask.cli import AppGroup

from webapp.errors import ConfigurationError
from webapp.ops.doctor.command import doctor


def app_for_doctor(error: Exception) -> Flask:
    """Return an app that serves nothing and has the one command; `error` is why there is no other.

    Raises:
        SystemExit: `flask` was called with another command; says what is wrong with the settings.
        Exception: `error`, where this process is no `flask` command, or it is no fault of the settings.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
        raise error
    if "doctor" not in sys.argv:
        if isinstance(error, ConfigurationError):
            sys.exit(f"Error: {error}")
        raise error
    app = Flask("webapp")
    findme = AppGroup("findme", help="Look after a FindMe installation.")
    findme.add_command(doctor)
    app.cli.add_command(findme)
    return app
