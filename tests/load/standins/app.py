"""What gunicorn loads for a stand-in; CALL_SITE=request or pool says where it matches."""

import os

from flask import Flask, request
from flask.typing import ResponseReturnValue

from tests.load.standins import call_site
from webapp import create_app
from webapp.errors import FindMeError
from webapp.pictures import imaging
from webapp.settings import Settings

VALIDATE = "/api/validate-selfie"


def _make() -> Flask:
    app = create_app(Settings.from_env())
    ready = (call_site.in_a_pool if os.environ["CALL_SITE"] == "pool" else call_site.in_the_request)(app)
    _validate_in_the_request(app, ready)
    (app.extensions["settings"].data_dir / "logs" / f"ready-{os.getpid()}").touch()
    return app


def _validate_in_the_request(app: Flask, ready: call_site.Engines) -> None:
    """The old system looked at a selfie before the sign-up in the request, in both of its shapes."""

    def validate_selfie() -> ResponseReturnValue:
        try:
            limit = app.extensions["settings"].max_megapixels
            frame = imaging.decode(request.files["file"].stream, max_megapixels=limit).frame
            with ready.borrowed() as engine:
                reason = engine.analyzer.check_selfie(frame).reason
        except FindMeError as error:
            reason = error.code
        return {"valid": reason is None, "reason": reason, "detail": ""}

    endpoint = next((rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == VALIDATE), None)
    if endpoint is not None:
        app.view_functions[endpoint] = validate_selfie


app = _make()
