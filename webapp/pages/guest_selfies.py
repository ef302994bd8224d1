"""What guests do with selfies beside handing one in: a first look before it is sent."""

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from webapp.errors import Invalid
from webapp.reasons import sentence
from webapp.services.selfies import precheck
from webapp.services.selfies.precheck import Verdict
from webapp.web.access import event_codes, picture_checks
from webapp.web.access.permissions import SELFIE_BODY, Who

blueprint = Blueprint("guest_selfies", __name__, url_prefix="/e/<code>")

WHO = {"check": Who.ANYONE}
BODIES = {"check": SELFIE_BODY}


def _admit_check() -> ResponseReturnValue | None:
    """Answer at once, without reading the picture, where too many are checked already."""
    return None if picture_checks.begin() else _answer(precheck.UNKNOWN)


ADMISSIONS = {"check": _admit_check}
blueprint.teardown_request(picture_checks.end)


@blueprint.post("/selfie-check")
def check(code: str) -> ResponseReturnValue:
    """Say of a picture whether it looks good so far, before anyone agreed to anything: only a face is looked for in it,
    and nothing is kept. The check that counts is made when the selfie itself is sent.
    """
    event_codes.find(code)
    picture = request.files.get("file")
    if picture is None:
        raise Invalid(code="selfie_missing")
    return _answer(picture_checks.counted(precheck.ask(picture.stream, request.form.get("angle", "front"))))


def _answer(verdict: Verdict) -> ResponseReturnValue:
    answer: dict[str, Any] = {"valid": verdict.valid, "detail": sentence(verdict.reason or "selfie_fits")}
    return jsonify(answer), picture_checks.status_of(verdict)
