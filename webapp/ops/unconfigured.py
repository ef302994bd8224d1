"""What the `flask` command does where the settings can't be used: `findme doctor` reports them, all else is refused."""

import os
import sys

from flask import Flask
from flask.cli import AppGroup

from webapp.errors import ConfigurationError
from webapp.ops.doctor.command import doctor


def app_for_doctor(error: ConfigurationError) -> Flask:
    """Return an app that serves nothing and has the one command.

    Raises:
        SystemExit: `flask` was called with another command; says what is wrong with the settings.
        ConfigurationError: this process is no `flask` command.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
        raise error
    if "doctor" not in sys.argv:
        sys.exit(f"Error: {error}")
    app = Flask("webapp")
    findme = AppGroup("findme", help="Look after a FindMe installation.")
    findme.add_command(doctor)
    app.cli.add_command(findme)
    return app
