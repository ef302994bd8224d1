"""What a service gets wrong: lost answers, quotas, faults, keys that are wrong, a region that lacks it."""

import socket
from pathlib import Path

import pytest

from tests.cloud.rekognition import RekognitionServer
from tests.support.rekognition import (
    GALLERY,
    PHOTOS,
    SELFIES,
    Account,
    Books,
    index_guest,
    index_photo,
    probe_of,
    rekognition_for_tests,
)
from tests.support.scenes import selfie, shot
from tests.support.servers import Valkey
from tests.support.settings import make_settings
from webapp.errors import ConfigurationError, FindMeError, Invalid, MissingRights, Transient
from webapp.faces.rekognition.engine import load


def test_a_lost_answer_leaves_no_face_twice(account: Account) -> None:
    before = index_photo(account, shot("eileen"), "before")
    account.server.faults.lose("IndexFaces")
    keys = index_photo(account, shot("grace+eileen"), "photo")
    assert account.server.count("IndexFaces") == 3, "the lost one was sent again by botocore"
    assert len(keys) == 2
    assert account.faces(PHOTOS) == dict.fromkeys(keys, "photo") | dict.fromkeys(before, "before")


def test_answers_lost_to_the_last_are_made_good_by_the_next_try(account: Account) -> None:
    account.server.faults.lose("IndexFaces", times=2)
    with pytest.raises(Transient) as away:
        index_photo(account, shot("grace"))
    assert away.value.code == "engine_away"
    assert len(account.faces(PHOTOS)) == 2, "the service did the work twice"
    (key,) = index_photo(account, shot("grace"), again=True)
    assert account.faces(PHOTOS) == {key: "photo"}


def test_a_lost_answer_leaves_no_selfie_twice(account: Account) -> None:
    account.server.faults.lose("IndexFaces")
    key = index_guest(account, selfie("grace"), "selfie")
    assert account.faces(SELFIES) == {key: "selfie"}


def test_whole_lists_are_only_read_if_an_answer_was_lost(account: Account) -> None:
    account.server.faults.throttle("IndexFaces", times=1)
    index_photo(account, shot("grace"))
    assert account.server.count("IndexFaces") == 2
    assert account.server.count("ListFaces") == 0


@pytest.mark.parametrize("error", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_throttled_to_the_end_is_busy_and_costs_nothing(account: Account, error: str) -> None:
    account.server.faults.throttle("IndexFaces", error=error)
    with pytest.raises(Transient) as busy:
        index_photo(account, shot("grace"))
    assert busy.value.code == "engine_busy" and not isinstance(busy.value, MissingRights)
    assert account.books.calls.total() == 0


def test_a_fault_of_the_service_is_tried_again(account: Account) -> None:
    account.server.faults.fail("IndexFaces", status=500)
    assert len(index_photo(account, shot("grace"))) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_that_stays_is_transient(account: Account, status: int) -> None:
    account.server.faults.fail("SearchFacesByImage", times=None, status=status)
    with pytest.raises(Transient) as away:
        account.index.search(GALLERY, [probe_of("grace")], 0.8)
    assert away.value.code == "engine_away"


def test_a_service_that_is_not_there_is_transient(rekognition_server: RekognitionServer, redis_server: Valkey) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with (
            rekognition_for_tests(rekognition_server, redis_server, rekognition_endpoint_url=nobody) as account,
            pytest.raises(Transient) as away,
        ):
            account.index.prepare(GALLERY)
    assert away.value.code == "engine_away"


@pytest.mark.parametrize("wrong", [{"aws_secret_access_key": "another"}, {"aws_access_key_id": "AKIDUNKNOWN"}])
def test_wrong_keys_are_missing_rights(
    rekognition_server: RekognitionServer, redis_server: Valkey, wrong: dict[str, object]
) -> None:
    with rekognition_for_tests(rekognition_server, redis_server, **wrong) as account:
        with pytest.raises(MissingRights) as refused:
            index_photo(account, shot("grace"))
        assert refused.value.code == "engine_rights"
        assert account.books.calls.total() == 0
        assert rekognition_server.count("IndexFaces") == 1, "keys do not get right by trying again"


def test_a_right_that_was_taken_away_is_missing(account: Account) -> None:
    account.server.faults.deny("SearchFacesByImage")
    with pytest.raises(MissingRights):
        account.index.search(GALLERY, [probe_of("grace")], 0.8)


def test_a_region_without_the_service_is_a_wrong_setting(redis_server: Valkey, tmp_path: Path) -> None:
    nowhere = make_settings(tmp_path, redis_server.url, face_engine="rekognition", rekognition_region="eu-west-3")
    _, faces_index = load(nowhere, Books(), redis_server.client())
    with pytest.raises(ConfigurationError, match="REKOGNITION_REGION"):
        faces_index.prepare(GALLERY)


def test_what_the_service_refuses_is_permanent(account: Account) -> None:
    account.server.faults.fail("IndexFaces", times=None, status=400, error="InvalidImageFormatException")
    with pytest.raises(Invalid) as refused:
        index_photo(account, shot("grace"))
    assert refused.value.code == "unreadable"
    assert account.server.count("IndexFaces") == 1


def test_an_unknown_fault_of_ours_is_not_taken_for_a_missing_face(account: Account) -> None:
    account.server.faults.fail("SearchFacesByImage", status=400, error="InvalidParameterException")
    with pytest.raises(FindMeError):
        account.index.search(GALLERY, [probe_of("grace")], 0.8)


def test_botocores_own_tries_take_their_turn_as_well(
    rekognition_server: RekognitionServer, redis_server: Valkey
) -> None:
    """A quota that is spent: the first try goes out, the second would wait for longer than anybody does."""
    with rekognition_for_tests(rekognition_server, redis_server, rekognition_calls_per_second=0.01) as account:
        rekognition_server.faults.throttle("CreateCollection")
        with pytest.raises(Transient) as busy:
            account.index.prepare(GALLERY)
        assert busy.value.code == "engine_busy"
        assert rekognition_server.count("CreateCollection") == 1
