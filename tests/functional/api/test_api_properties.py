"""The API against its own document: whatever is sent, the answer is one that is written down, and never a crash.

Schemathesis makes calls from the OpenAPI document, half of them against its rules; each is made by nobody, by a guest,
by a photographer and by an admin. Some get real ids and a real code, so that views are reached and not only refused.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from webapp.db.extensions import db
from webapp.models import Event, Match, Photo, UserRole
from webapp.queueing import unit_of_work
from webapp.services.uploads import upload_tokens

SEED = 20260620
EXAMPLES = 4
"""Calls of each operation, by its rules and again against them; the first of each by everybody, the others in turn."""

LOGINS = ("guest", "photographer@example.com", "admin@example.com")
CHECKS = (
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
REAL = {"event_code": "PARTY234", "email": "somebody@example.com", "password": PASSWORD, "granted": True}
NAMES = count()
ENDINGS = {"POST /api/consent", "POST /api/logout", "DELETE /api/my-selfie"}
"""After these there is less to find."""

MAY_BE_AWAY = {"GET /api/health/ready"}
"""Its 503 is an answer, and there are no workers here."""

OUT_OF_REACH = {"POST /api/register-invite-with-selfie", *MAY_BE_AWAY}
"""Random bytes are no selfie; what these do is tested by name elsewhere."""


@pytest.fixture
def ids(api: Api, world: World) -> dict[str, str]:
    """What is really there: an event with two photos, in which a guest was found."""
    world.add_photos(world.event(), *photos_with("grace", 2))
    api.register(world.code, "guest").upload_selfie(selfie("grace"))
    world.person("admin@example.com", UserRole.ADMIN)
    world.work()
    with api.app.app_context():
        return {
            "event_id": db.session.scalars(select(Event.public_id)).one(),
            "photo_id": db.session.scalars(select(Photo.public_id)).first() or "",
            "match_id": db.session.scalars(select(Match.public_id)).first() or "",
        }


@dataclass
class Record:
    """What came of the calls of one operation."""

    statuses: set[int] = field(default_factory=set)
    fault: str = ""


@pytest.mark.slow
def test_every_answer_is_one_that_the_document_names(app: Flask, api: Api, ids: dict[str, str]) -> None:
    signed = [{"Authorization": f"Bearer {api.login(login).token}"} for login in LOGINS]
    signed.append({"Authorization": f"Bearer {_upload_token(app, ids['event_id'])}"})
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    operations = sorted((found.ok() for found in document.get_all_operations()), key=_last)
    assert len(operations) > 30
    records = {operation.label: Record() for operation in operations}
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                _try(operation, mode, [{}, *signed], ids, records[operation.label])
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # what takes nothing can't be given anything wrong
            except FailureGroup as found:
                records[operation.label].fault = "\n".join(str(fault) for fault in found.exceptions)
    assert {label: record.fault for label, record in records.items() if record.fault} == {}
    never = {label for label, record in records.items() if not any(status < 300 for status in record.statuses)}
    assert never <= OUT_OF_REACH, f"only refusals were tried of {never}"


def _upload_token(app: Flask, event_id: str) -> str:
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        return upload_tokens.create(event, event.memberships[0].user, "Laptop")[1]


def _try(
    operation: Any, mode: GenerationMode, callers: list[dict[str, str]], ids: dict[str, str], record: Record
) -> None:
    turns = count()
    checks = CHECKS if operation.label in MAY_BE_AWAY else (not_a_server_error, *CHECKS)

    @with_seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        turn = next(turns)
        if turn % 2:
            _aim(case, ids)
        for headers in callers if turn < 2 else callers[turn % len(callers) :][:1]:
            # Within one process nothing undoes what the app compresses.
            answer = case.call(headers=headers | {"Accept-Encoding": "identity"})
            record.statuses.add(answer.status_code)
            case.validate_response(answer, checks=checks)

    call()


def _aim(case: Any, ids: dict[str, str]) -> None:
    """Give a call what is really there."""
    for name in set(case.path_parameters or {}) & set(ids):
        case.path_parameters[name] = ids[name]
    query = case.query or {}
    if "event_id" in query:
        query["event_id"] = ids["event_id"]
    for name in {"cursor", "status"} & set(query):
        del query[name]
    if isinstance(case.body, dict):
        real = {"event_id": ids["event_id"], "angle": "front", "file": selfie("grace")}
        case.body.update({name: real[name] for name in set(case.body) & set(real)})
        inner = case.body.get("user_data")
        if isinstance(inner, dict):
            inner |= {"username": f"somebody {next(NAMES)}", "user_type": "user"}
        for fields in (case.body, inner if isinstance(inner, dict) else {}):
            fields.update({name: REAL[name] for name in set(fields) & set(REAL)})
        if set(case.body) >= {"username", "password"} and "email" not in case.body:
            case.body["username"] = LOGINS[0]


def _last(operation: Any) -> tuple[bool, str]:
    return operation.label in ENDINGS, operation.label
