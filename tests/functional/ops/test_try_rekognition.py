"""`flask findme try-rekognition` against a server that speaks Rekognition's protocol."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.cloud.rekognition import RekognitionServer
from tests.support.rekognition import KEY, SECRET, connection
from tests.support.settings import make_settings
from webapp import create_app
from webapp.faces.rekognition.client import OPERATIONS
from webapp.faces.rekognition.index import RekognitionIndex
from webapp.ops.try_rekognition import trial

WRONG_SECRET = "not-the-secret-of-this-key"
ACCOUNT_ID = "123456789012"

SAMPLES = cache(trial.draw_samples)
"""Draw the samples once for all tests."""


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RekognitionServer]:
    with RekognitionServer(keys={KEY: SECRET}) as running:
        yield running


@pytest.fixture
def server(shared_server: RekognitionServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RekognitionServer]:
    monkeypatch.setattr(trial, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(trial, "draw_samples", SAMPLES)
    shared_server.forget()
    yield shared_server
    assert shared_server.faults_of_its_own == []


@pytest.fixture
def app(server: RekognitionServer, tmp_path: Path, redis_url: str) -> Flask:
    return app_with(server, tmp_path, redis_url)


def app_with(server: RekognitionServer, folder: Path, redis_url: str, **changes: object) -> Flask:
    """An app whose settings lead to the server."""
    return create_app(make_settings(folder, redis_url, **(connection(server) | {"face_engine": "local"} | changes)))


def invoke(app: Flask, *options: str, answer: str | None = None) -> Result:
    """Run the command; its output must never hold anything secret."""
    result = app.test_cli_runner().invoke(args=["findme", "try-rekognition", *options], input=answer)
    for secret in (KEY, SECRET, WRONG_SECRET, ACCOUNT_ID):
        assert secret not in result.output
    return result


def report(app: Flask) -> dict[str, Any]:
    """The report of a run as JSON; checks the exit status."""
    result = invoke(app, "--yes", "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if found["succeeded"] else 1)
    return found


def statuses(found: dict[str, Any]) -> dict[str, str]:
    return {one["operation"]: one["status"] for one in found["operations"]}


def test_every_operation_is_called_and_works(app: Flask, server: RekognitionServer) -> None:
    found = report(app)
    assert statuses(found) == dict.fromkeys(OPERATIONS, "ok")
    assert {call.operation for call in server.calls} == set(OPERATIONS)
    assert found["succeeded"] and found["notes"] == []


def test_what_was_made_is_deleted(app: Flask, server: RekognitionServer) -> None:
    found = report(app)
    made = {call.facts["CollectionId"] for call in server.calls if call.operation == "CreateCollection"}
    assert sorted(made) == sorted(found["deleted"]) and len(made) == 2
    assert all(name.startswith("findme-trial-") for name in made)
    assert server.contents() == {} and found["left_behind"] == []


def test_the_same_person_is_found_and_the_other_is_not(app: Flask) -> None:
    searches = {one["operation"]: one for one in report(app)["searches"]}
    assert set(searches) == {"SearchFaces", "SearchFacesByImage", "SearchUsersByImage"}
    for search in searches.values():
        assert search["same_person"] >= 95 and search["other_person"] < 80 and search["tells_apart"]


def test_the_billable_calls_are_those_that_were_announced(app: Flask, server: RekognitionServer) -> None:
    found = report(app)
    sent = Counter(call.operation for call in server.calls if OPERATIONS[call.operation].billable)
    assert found["billable_calls"] == sent.total() == trial.USUAL_CALLS
    assert found["dollars"] == pytest.approx(trial.USUAL_CALLS / 1000)


def test_the_text_states_results_versions_and_region(app: Flask) -> None:
    result = invoke(app, "--yes")
    assert result.exit_code == 0
    for text in ("us-east-1", "face model 7.0", "botocore", "12 billable calls, $0.0120", "Deleted again"):
        assert text in result.output
    assert "skipped, because the endpoint is not Amazon's" in result.output


def test_nothing_is_called_without_consent(app: Flask, server: RekognitionServer) -> None:
    result = invoke(app, answer="n\n")
    assert result.exit_code == 1 and "about 12 billable calls ($0.012)" in result.output
    assert server.calls == []


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"CreateCollection", "DeleteCollection"}))
def test_a_missing_right_is_named_and_the_others_are_still_tried(
    app: Flask, server: RekognitionServer, operation: str
) -> None:
    server.faults.deny(operation)
    found = report(app)
    (denied,) = (one for one in found["operations"] if one["status"] == "missing right")
    assert (denied["operation"], denied["action"]) == (operation, f"rekognition:{operation}")
    assert set(statuses(found).values()) <= {"ok", "missing right", "allowed, not tried"}
    assert server.contents() == {}


def test_several_missing_rights_show_in_one_run(app: Flask, server: RekognitionServer) -> None:
    denied = {"CreateUser", "IndexFaces", "SearchFaces"}
    for operation in denied:
        server.faults.deny(operation)
    found = statuses(report(app))
    assert {name for name, status in found.items() if status == "missing right"} == denied
    assert "not tried" not in found.values()
    assert server.contents() == {}


def test_without_the_right_to_make_collections_the_other_rights_are_still_checked(
    app: Flask, server: RekognitionServer
) -> None:
    server.faults.deny("CreateCollection")
    server.faults.deny("SearchFaces")
    found = statuses(report(app))
    assert {name for name, status in found.items() if status == "missing right"} == {"CreateCollection", "SearchFaces"}
    assert {status for name, status in found.items() if status != "missing right"} == {"allowed, not tried"}
    assert server.contents() == {}


def test_collections_that_could_not_be_deleted_are_named(app: Flask, server: RekognitionServer) -> None:
    server.faults.deny("DeleteCollection")
    result = invoke(app, "--yes")
    assert result.exit_code == 1 and "allow rekognition:DeleteCollection" in result.output
    assert len(server.contents()) == 2
    for name in server.contents():
        command = f"aws rekognition delete-collection --region us-east-1 --collection-id {name}"
        assert f"Delete by hand, if it exists: {command}" in result.output


def test_a_deletion_that_fails_at_first_is_repeated(app: Flask, server: RekognitionServer) -> None:
    server.faults.fail("DeleteCollection", times=trial.ATTEMPTS)
    assert report(app)["succeeded"]
    assert server.contents() == {}


def test_a_wrong_secret_is_told_from_a_missing_right(server: RekognitionServer, tmp_path: Path, redis_url: str) -> None:
    found = report(app_with(server, tmp_path, redis_url, aws_secret_access_key=WRONG_SECRET))
    assert statuses(found)["CreateCollection"] == "failed"
    assert found["operations"][0]["reason"] == "InvalidSignatureException"
    assert set(statuses(found).values()) == {"failed", "not tried"}
    assert len(server.calls) == 1, "no other call could work"
    assert server.contents() == {}


def test_a_server_that_is_away_is_not_asked_for_everything(tmp_path: Path, redis_url: str) -> None:
    with RekognitionServer(keys={KEY: SECRET}) as gone:
        app = app_with(gone, tmp_path, redis_url)
    found = report(app)
    assert statuses(found)["CreateCollection"] == "failed" and found["billable_calls"] == 0
    assert len(found["left_behind"]) == 1, "the call may have arrived"


def test_a_region_without_the_service_is_refused_before_any_call(tmp_path: Path, redis_url: str) -> None:
    settings = make_settings(
        tmp_path, redis_url, rekognition_region="eu-north-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    result = invoke(create_app(settings), "--yes")
    assert result.exit_code == 1 and "There is no Rekognition in the region eu-north-1" in result.output


def test_a_missing_region_is_refused(tmp_path: Path, redis_url: str) -> None:
    result = invoke(create_app(make_settings(tmp_path, redis_url)), "--yes")
    assert result.exit_code == 1 and "Set REKOGNITION_REGION" in result.output


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_trial_deletes_what_it_made(
    app: Flask, server: RekognitionServer, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def stop(*_: object) -> None:
        assert len(server.contents()) == 2
        raise error

    monkeypatch.setattr(RekognitionIndex, "make_user", stop)
    found = report(app)
    assert not found["succeeded"] and len(found["notes"]) == 1
    assert len(found["deleted"]) == 2 and server.contents() == {}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own reaction to Ctrl-C: RQ's workers, which other tests run in this process, leave theirs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c(server: RekognitionServer, operation: str) -> Thread:
    """Interrupt this process as soon as the server has got a request for the operation."""

    def press() -> None:
        while not server.count(operation):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = Thread(target=press)
    thread.start()
    return thread


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_the_middle_of_a_request_deletes_what_was_made(app: Flask, server: RekognitionServer) -> None:
    server.faults.slow(5, "IndexFaces", times=1)
    pressing = press_ctrl_c(server, "IndexFaces")
    found = report(app)
    pressing.join()
    assert found["notes"] == ["Interrupted."] and not found["succeeded"]
    assert len(found["deleted"]) == 2 and server.contents() == {}


@pytest.mark.usefixtures("interruptible")
def test_a_collection_that_may_be_made_after_ctrl_c_is_named(app: Flask, server: RekognitionServer) -> None:
    server.faults.slow(1, "CreateCollection", times=1)
    pressing = press_ctrl_c(server, "CreateCollection")
    found = report(app)
    pressing.join()
    (name,) = found["left_behind"]
    assert name.endswith("-photos") and found["deleted"] == []
    server.faults.calm()
    while name not in server.contents():
        time.sleep(0.01)


def test_a_collection_whose_answer_was_lost_is_deleted(app: Flask, server: RekognitionServer) -> None:
    server.faults.lose("CreateCollection", times=trial.ATTEMPTS)
    found = report(app)
    assert found["left_behind"] == [] and server.contents() == {}


def test_a_user_that_is_still_being_changed_is_waited_for(app: Flask, server: RekognitionServer) -> None:
    server.faults.fail("AssociateFaces", times=2, status=400, error="ConflictException")
    found = report(app)
    assert found["succeeded"] and found["billable_calls"] == trial.USUAL_CALLS + 2


def test_similarities_are_judged_by_the_thresholds_of_the_settings(
    server: RekognitionServer, tmp_path: Path, redis_url: str
) -> None:
    found = report(app_with(server, tmp_path, redis_url, rekognition_sure=100, rekognition_maybe=0))
    assert not found["succeeded"] and set(statuses(found).values()) == {"ok"}
    assert not any(search["tells_apart"] for search in found["searches"])


def test_every_operation_has_parameters_to_be_called_alone() -> None:
    assert set(trial.ALONE) == set(OPERATIONS)
