"""The JSON API, described by an OpenAPI document that is made from this code.

A route validates, calls a service and answers, as a page does; what can be done is never decided here.
"""

from typing import Any

from flask import Flask
from flask_smorest import Api

from webapp.api import accounts, admin, guests, health, media, studio, upload_token
from webapp.api.answers import ErrorSchema
from webapp.api.documenting import INFO, Completing
from webapp.web.access.permissions import ADMISSIONS, BODY_LIMITS, PERMISSIONS, Who

ROOMS = (accounts, guests, media, studio, upload_token, admin, health)


class JsonApi(Api):
    """flask-smorest without its error handlers: `webapp.web.requests.error_handlers` answers for all."""

    ERROR_SCHEMA = ErrorSchema
    # Every error is written down with its status; a catch-all would let the document promise nothing.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        return

    def _register_pagination_header(self) -> None:
        """Our pages are named by Link headers."""


def init_app(app: Flask) -> None:
    """Register every blueprint of the API with its rows of the permission table."""
    config: dict[str, Any] = {
        "API_TITLE": "FindMe",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": "3.0.3",
        "OPENAPI_URL_PREFIX": "/api",
        "OPENAPI_JSON_PATH": "openapi.json",
        "API_SPEC_OPTIONS": {"info": INFO},
    }
    app.config.update(config)
    PERMISSIONS["api-docs.openapi_json"] = Who.ANYONE
    for room in ROOMS:
        PERMISSIONS.update({f"{room.blueprint.name}.{name}": who for name, who in room.WHO.items()})
        BODY_LIMITS.update(
            {f"{room.blueprint.name}.{name}": size for name, size in getattr(room, "BODIES", {}).items()}
        )
        ADMISSIONS.update(
            {f"{room.blueprint.name}.{name}": admit for name, admit in getattr(room, "ADMISSIONS", {}).items()}
        )
    api = JsonApi(app, spec_kwargs={"extra_plugins": [Completing(app)]})
    for room in ROOMS:
        api.register_blueprint(room.blueprint)
    _document_the_document(app, api)


def _document_the_document(app: Flask, api: JsonApi) -> None:
    """flask-smorest serves it and leaves it out."""
    operation = {
        "summary": "This document.",
        "tags": ["api_health"],
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}},
        },
    }
    (rule,) = app.url_map.iter_rules("api-docs.openapi_json")
    api.spec.path(rule=rule, operations={"get": operation})
