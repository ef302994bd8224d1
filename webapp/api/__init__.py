"""The JSON API: thin, over the same services as the pages, described by an OpenAPI document made from this code."""

from typing import Any

from flask import Flask
from flask_smorest import Api

from webapp.api import accounts, admin, guests, health, media, studio
from webapp.api.schemas import ErrorSchema
from webapp.permissions import BODY_LIMITS, PERMISSIONS, Who

ROOMS = (accounts, guests, media, studio, admin, health)


class JsonApi(Api):
    """flask-smorest without its error handlers: `webapp.edge` answers for all."""

    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        return


def init_app(app: Flask) -> None:
    """Register every blueprint of the API with its rows of the permission table."""
    config: dict[str, Any] = {
        "API_TITLE": "FindMe",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": "3.0.3",
        "OPENAPI_URL_PREFIX": "/api",
        "OPENAPI_JSON_PATH": "openapi.json",
    }
    app.config.update(config)
    api = JsonApi(app)
    PERMISSIONS["api-docs.openapi_json"] = Who.ANYONE
    for room in ROOMS:
        api.register_blueprint(room.blueprint)
        PERMISSIONS.update({f"{room.blueprint.name}.{name}": who for name, who in room.WHO.items()})
        BODY_LIMITS.update(
            {f"{room.blueprint.name}.{name}": size for name, size in getattr(room, "BODIES", {}).items()}
        )
