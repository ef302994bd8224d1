"""The parts of the OpenAPI document that follow from what the code says elsewhere.

Who may call a view stands in the table of permissions, what it takes in its schemas. From these every operation gets
its security, its id and all its errors with the sentences that people read, so that the document can't say less than
happens.
"""

from collections import defaultdict
from http import HTTPStatus
from typing import Any

from apispec import APISpec, BasePlugin
from flask import Flask
from werkzeug.routing import Rule

from webapp.reasons import sentence
from webapp.web.access.limits import CHECKS, CODES, LOGINS
from webapp.web.access.permissions import PERMISSIONS, Who

OWN_ERRORS = "x-errors"
"""Where a view's own errors stand until the document is made: a list of code and status."""

INFO = {
    "description": f"""Guests find their photos of an event with a selfie.

**Signing in.** `Authorization: Bearer TOKEN`, with a token from `/api/login` or from signing up. A signed-in browser's
session cookie serves as well; its writes then carry the page's CSRF token in `X-CSRFToken`. A token ends when it
expires, at `/api/logout`, or when its owner is disabled. Whoever runs an event can make upload tokens for it, for
programs: these open nothing but `/api/upload-token` and the upload to that one event.

**Errors** have one form: a sentence for people in `detail` (English or French, by `Accept-Language`), a word for
programs in `code`, and in `fields` a sentence for each input that is wrong. What is not yours answers 404, as what is
not there does. A wrong method is a 405 with `Allow`.

**Lists** come in pages of `limit` rows; while there are more, a `Link` header with `rel="next"` names the next page.

**Limits.** Failures are counted, what succeeds never is. Wrong codes: {CODES} from an address. Wrong passwords:
{LOGINS} for a name. Pictures that `/api/validate-selfie` refuses: {CHECKS} from an address. A failure beyond that is
answered by 429 with `Retry-After` instead of by its own error. What is right is still served, but guesses wait for up
to eight seconds before they are checked; while many wait, a guess is answered 429 at once, unchecked: repeat it then.

Ids are opaque strings. Times are ISO 8601. Fields that a call does not know are ignored."""
}

SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "An opaque token from `/api/login`."},
    "upload_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token from an event's page in the studio, with the one right to upload to that event.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "findme",
        "description": "A signed-in browser. Writes also need the header `X-CSRFToken`.",
    },
}

_SIGNED_IN: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
_TOKEN: list[dict[str, list[str]]] = [{"upload_token": []}]
_SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    Who.ANYONE: [],
    Who.UPLOADER: [*_SIGNED_IN, *_TOKEN],
    Who.UPLOAD_TOKEN: _TOKEN,
}
_TOKEN_REFUSALS = {"sign_in_required": 401, "upload_token_invalid": 401}
_REFUSALS: dict[Who, dict[str, int]] = {
    Who.ANYONE: {},
    Who.UPLOADER: _TOKEN_REFUSALS,
    Who.UPLOAD_TOKEN: _TOKEN_REFUSALS | {"upload_token_needed": 403},
}
_READING = ("get", "head", "options")
_ALWAYS_THERE = ("api_health.", "api-docs.")
"""Endpoints that answer whatever is away."""


class Completing(BasePlugin):
    """Adds to each operation what flask-smorest can't know."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def init_spec(self, spec: APISpec) -> None:
        """Add what the operations refer to."""
        for name, scheme in SECURITY_SCHEMES.items():
            spec.components.security_scheme(name, scheme)

    def operation_helper(
        self,
        path: str | None = None,  # noqa: ARG002 - apispec's
        operations: dict[str, Any] | None = None,
        **found: Any,
    ) -> None:
        """Complete the operations of one address."""
        rule: Rule = found["rule"]
        for method, operation in (operations or {}).items():
            own = operation.pop(OWN_ERRORS, [])
            operation["operationId"] = rule.endpoint.removeprefix("api_").replace("-", "_").replace(".", "_")
            operation.setdefault("security", _SECURITY.get(PERMISSIONS[rule.endpoint], _SIGNED_IN))
            refusals: defaultdict[int, list[str]] = defaultdict(list)
            for code, status in [*_usual(method, operation, rule).items(), *own]:
                if code not in refusals[status]:
                    refusals[status].append(code)
            answers = {str(key): answer for key, answer in operation.get("responses", {}).items() if _is_told(answer)}
            answers |= {str(status): _refusal(status, codes) for status, codes in refusals.items()}
            operation["responses"] = {key: answers[key] for key in sorted(answers)}


def _usual(method: str, operation: dict[str, Any], rule: Rule) -> dict[str, int]:
    """What calls of this kind can answer: code → status."""
    who, takes = PERMISSIONS[rule.endpoint], operation.get("requestBody", {}).get("content", {})
    usual = {} if rule.endpoint.startswith(_ALWAYS_THERE) else {"transient": 503}
    usual |= _REFUSALS.get(who, {"sign_in_required": 401})
    if who not in (Who.ANYONE, Who.SIGNED_IN, Who.UPLOAD_TOKEN) or rule.arguments:
        usual["not_found"] = 404
    if method not in _READING:
        usual["csrf"] = 400
    if takes or operation.get("parameters") or rule.arguments:
        usual["invalid"] = 422
    if takes:
        usual["too_large"] = 413
    if "application/json" in takes:
        usual |= {"bad_request": 400, "json_expected": 415}
    if "multipart/form-data" in takes:
        usual["form_expected"] = 415
    return usual


def _is_told(answer: Any) -> bool:
    """Whether an answer was written down by a view, and not put there for all by flask-smorest."""
    return isinstance(answer, dict) and "$ref" not in answer


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    """One error, with an example for each of its codes."""
    examples = {
        code: {"summary": code, "value": {"detail": sentence(code), "code": code, "fields": {}}} for code in codes
    }
    body = {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples}
    answer: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
        "content": {"application/json": body},
    }
    if status == 429:
        answer["headers"] = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
    return answer
