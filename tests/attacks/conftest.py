"""What the attackers' and the owners' tests share."""

import pytest
from flask import Flask

from webapp.settings import Settings


@pytest.fixture
def postbox(app: Flask, settings: Settings) -> Flask:
    """The app on a developer's machine without a mail server: mails are kept to be read."""
    app.extensions["settings"] = settings.model_copy(update={"environment": "development"})
    return app
