"""The OpenAPI document: valid, complete and true to the table of permissions."""

import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from webapp.reasons import SENTENCES
from webapp.web.access.permissions import PERMISSIONS, Who


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    """As clients fetch it."""
    answer = app.test_client().get("/api/openapi.json")
    assert answer.mimetype == "application/json"
    found: dict[str, Any] = answer.json
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def routes(app: Flask) -> dict[tuple[str, str], str]:
    """Method and address of everything under /api, with its endpoint."""
    return {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)): rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_call_of_the_api_is_in_it_and_nothing_else(app: Flask, document: dict[str, Any]) -> None:
    assert set(operations(document)) == set(routes(app))
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"] for operation in operations(document).values())


def test_it_says_who_may_call_what(app: Flask, document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for place, operation in operations(document).items():
        who = PERMISSIONS[routes(app)[place]]
        names = {name for wanted in operation["security"] for name in wanted}
        assert names <= set(schemes), place
        if who is Who.ANYONE:
            assert operation["security"] == [] or {} in operation["security"], place
        else:
            tokens = {Who.UPLOADER: {"token", "session", "upload_token"}, Who.UPLOAD_TOKEN: {"upload_token"}}
            assert names == tokens.get(who, {"token", "session"}) and {} not in operation["security"], place
            assert "401" in operation["responses"], place
        if who not in (Who.ANYONE, Who.SIGNED_IN, Who.UPLOAD_TOKEN):
            assert "404" in operation["responses"], place


def test_every_error_has_the_one_form_and_real_examples(document: dict[str, Any]) -> None:
    for place, operation in operations(document).items():
        assert "default" not in operation["responses"], "which would allow any answer"
        refusals = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        for status, answer in refusals.items():
            if place == ("GET", "/api/health/ready"):
                continue
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}, (place, status)
            for code, example in content["examples"].items():
                assert example["value"] == {"detail": str(SENTENCES[code]), "code": code, "fields": {}}
    assert set(document["components"]["schemas"]["Error"]["required"]) == {"detail", "code", "fields"}


def test_every_body_is_described_with_examples(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = {}
    for place, operation in operations(document).items():
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            assert kind in ("application/json", "multipart/form-data"), place
            bodies[place] = schemas[content["schema"]["$ref"].rpartition("/")[2]] if "$ref" in content["schema"] else {}
        assert all(parameter["in"] in ("path", "query", "header") for parameter in operation.get("parameters", []))
    assert len(bodies) >= 13
    registration = bodies["POST", "/api/register-with-event-code"]
    assert set(registration["required"]) == {"user_data", "event_code"}
    assert schemas["UserData"]["properties"]["username"]["example"]
    selfie = bodies["POST", "/api/upload-selfie"]["properties"]
    assert selfie["file"] == {"type": "string", "format": "binary"} and "consent" in selfie


def test_lists_say_where_they_go_on(document: dict[str, Any]) -> None:
    for path in ("/api/my-photos", "/api/all-photos", "/api/photographer/events/{event_id}/photos"):
        operation = operations(document)["GET", path]
        assert "Link" in operation["responses"]["200"]["headers"]
        assert {"cursor", "limit"} <= {parameter["name"] for parameter in operation["parameters"]}


def test_what_counts_failures_says_so(document: dict[str, Any]) -> None:
    limited = {path for (_, path), operation in operations(document).items() if "429" in operation["responses"]}
    assert limited == {
        "/api/check-event-code",
        "/api/check-user-availability",
        "/api/register-with-event-code",
        "/api/register-invite-with-selfie",
        "/api/login",
        "/api/join-event",
        "/api/validate-selfie",
        "/api/upload-selfie",
    }
    for path in limited:
        assert "Retry-After" in operations(document)["POST", path]["responses"]["429"]["headers"]
