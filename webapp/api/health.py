"""Whether this process lives, and whether the installation is ready for people."""

from typing import Any

from flask import Response, current_app, jsonify

from webapp.api import answers
from webapp.api.common import Blueprint
from webapp.services.upkeep import health
from webapp.web.access.permissions import Who

blueprint = Blueprint("api_health", __name__, url_prefix="/api/health", description="Health")

WHO = {"live": Who.ANYONE, "ready": Who.ANYONE}


@blueprint.get("/live")
@blueprint.response(200, answers.Alive)
def live() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@blueprint.get("/ready")
@blueprint.response(200, answers.Readiness)
@blueprint.alt_response(503, schema=answers.Readiness, description="not ready")
def ready() -> Response:
    """503 until every part was once up, afterwards only when database or storage is gone: without Redis pages still
    serve and rows wait.
    """
    missing = health.missing_parts()
    seen: dict[str, Any] = current_app.extensions.setdefault("health", {"complete": False})
    seen["complete"] = seen["complete"] or not missing
    usable = seen["complete"] and not health.ESSENTIAL & set(missing)
    response = jsonify({"status": "ready" if usable else "not ready", "degraded": missing})
    response.status_code = 200 if usable else 503
    return response
