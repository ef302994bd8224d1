"""What only a service can do: galleries that it keeps, searches by picture, limits of size and number, the bill.

Everything goes over HTTP to a server that holds each request against botocore's model of the service.
"""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.cloud.rekognition import RekognitionServer
from tests.support import faces
from tests.support.rekognition import (
    GALLERY,
    GUESTS,
    PHOTOS,
    SELFIES,
    Account,
    index_guest,
    index_photo,
    probe_of,
    rekognition_for_tests,
)
from tests.support.scenes import crowd, lit, selfie, shot
from tests.support.servers import Valkey
from webapp.errors import LimitReached, NotFound, Transient
from webapp.faces.core.protocols import FaceAnalyzer, FaceIndex, Keep, Probe, UserVectors
from webapp.faces.rekognition import index, pictures
from webapp.faces.rekognition.client import OPERATIONS


def test_it_serves_the_protocols(account: Account) -> None:
    analyzer: FaceAnalyzer = account.analyzer
    faces_index: FaceIndex = account.index
    users: UserVectors = account.index
    assert (analyzer.engine, analyzer.frame_side, faces_index.keeps_faces) == ("rekognition", 4096, True)
    assert users is faces_index


def test_every_operation_of_the_table_is_called_by_something_here() -> None:
    """The table is what is held against the service's model: nothing may be called past it, nor stay in it unused."""
    package = faces.ROOT / "webapp" / "faces" / "rekognition"
    sources = "".join(path.read_text() for path in package.glob("*.py") if path.name not in ("client.py", "quotas.py"))
    assert {name for name in OPERATIONS if f'"{name}"' not in sources} == set()


# --- galleries


def test_both_galleries_are_made_and_their_model_is_told(
    rekognition_server: RekognitionServer, redis_server: Valkey
) -> None:
    with rekognition_for_tests(rekognition_server, redis_server) as made:
        assert made.index.prepare(GUESTS) == "7.0"
        assert set(rekognition_server.contents()) == {PHOTOS, SELFIES}
        assert made.index.prepare(GALLERY) == "7.0"
        rekognition_server.delete_collection(SELFIES)
        assert made.index.prepare(GALLERY) == "7.0"
        assert set(rekognition_server.contents()) == {PHOTOS, SELFIES}


def test_a_lost_answer_while_a_gallery_is_made_does_no_harm(account: Account) -> None:
    account.server.delete_collection(PHOTOS)
    account.server.faults.lose("CreateCollection")
    assert account.index.prepare(GALLERY) == "7.0"


def test_faces_lie_under_our_names(account: Account) -> None:
    (photo,) = index_photo(account, shot("grace"), "photo-1")
    guest = index_guest(account, selfie("grace"), "selfie-1")
    assert account.faces(PHOTOS) == {photo: "photo-1"}
    assert account.faces(SELFIES) == {guest: "selfie-1"}
    assert list(account.index.contents(GALLERY)) == [(photo, "photo-1")]


def test_long_lists_are_read_to_their_end(account: Account) -> None:
    keys = {key for number in range(5) for key in index_photo(account, lit(shot("grace"), 1 - number / 10))}
    account.server.faults.limit_pages(2)
    assert {key for key, _ in account.index.contents(GALLERY)} == keys
    assert account.server.count("ListFaces") == 3


@pytest.mark.parametrize("task", ["photo", "selfie", "search", "users", "contents", "make_user"])
def test_a_missing_gallery_is_said(account: Account, task: str) -> None:
    account.server.delete_collection(PHOTOS)
    account.server.delete_collection(SELFIES)
    tasks = {
        "photo": lambda: index_photo(account, shot("grace")),
        "selfie": lambda: index_guest(account, selfie("grace"), "selfie"),
        "search": lambda: account.index.search(GALLERY, [probe_of("grace")], 0.8),
        "users": lambda: list(account.index.users(GUESTS)),
        "contents": lambda: list(account.index.contents(GALLERY)),
        "make_user": lambda: account.index.make_user(GUESTS, "person", ["0" * 8 + "-0000-0000-0000-" + "0" * 12]),
    }
    with pytest.raises(NotFound) as missing:
        tasks[task]()
    assert missing.value.code == "engine_missing"


def test_vectors_have_no_place_here(account: Account) -> None:
    with pytest.raises(TypeError):
        account.index.add(GALLERY, [1], np.zeros((1, 128), dtype=np.float32))
    with pytest.raises(ValueError, match="keep"):
        account.analyzer.photo_faces(shot("grace"))


# --- searching


def test_a_face_of_the_gallery_finds_the_others(account: Account) -> None:
    (one,), (two,) = (index_photo(account, lit(shot("grace"), gain), "grace") for gain in (1.0, 0.7))
    index_photo(account, shot("eileen"), "eileen")
    account.server.journal.clear()
    assert [hit.face_id for hit in account.index.search(GALLERY, [Probe(key=one)], 0.8).hits] == [two]
    assert [call.operation for call in account.server.calls] == ["SearchFaces"]


def test_a_face_of_the_other_gallery_is_searched_by_its_picture(account: Account) -> None:
    (photo,) = index_photo(account, shot("grace"))
    guest = index_guest(account, selfie("grace"), "selfie")
    both = Probe(key=guest, picture=probe_of("grace").picture)
    assert [hit.face_id for hit in account.index.search(GALLERY, [both], 0.8).hits] == [photo]
    assert account.index.search(GALLERY, [Probe(key=guest)], 0.8).hits == []


def test_a_crop_without_a_face_finds_nothing(account: Account) -> None:
    index_photo(account, shot("grace"))
    file = io.BytesIO()
    Image.fromarray(np.full((200, 200, 3), 90, dtype=np.uint8)).save(file, "JPEG")
    probe = Probe(picture=file.getvalue())
    assert account.index.search(GALLERY, [probe], 0.8).hits == []
    assert len(account.index.search(GALLERY, [probe, probe_of("grace")], 0.8).hits) == 1
    assert account.index.search_users(GUESTS, probe, 0.8) == []
    assert account.index.search(GALLERY, [Probe(vector=np.zeros(128, dtype=np.float32))], 0.8).hits == []


def test_a_search_that_the_service_cut_says_so(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        index_photo(account, lit(shot("grace"), 1 - number / 10))
    assert account.server.calls[-1].operation == "IndexFaces"
    assert not account.index.search(GALLERY, [probe_of("grace")], 0.8).capped
    assert account.server.calls[-1].facts["MaxFaces"] == 4096
    monkeypatch.setattr(index, "MOST_HITS", 3)
    result = account.index.search(GALLERY, [probe_of("grace")], 0.8)
    assert result.capped and len(result.hits) == 3


# --- pictures


def test_a_frame_of_more_than_five_megabytes_is_reduced(account: Account) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (3600, 5000, 3), dtype=np.uint8)
    frame[:1200, :1200] = np.repeat(np.repeat(shot("eileen")[-512:, 60:572], 3, axis=0), 3, axis=1)[:1200, :1200]
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=92)
    assert len(file.getvalue()) > pictures.MOST_BYTES
    assert len(index_photo(account, frame)) == 1
    assert account.server.calls[-1].facts["Image"]["Bytes"] <= pictures.MOST_BYTES


def test_a_crowd_is_sent_again_without_those_who_are_known(account: Account) -> None:
    """The contract suite counts the faces; here is what it costs, and that nobody is kept twice."""
    keys = index_photo(account, crowd(101))
    assert sorted(account.faces(PHOTOS)) == sorted(keys) and len(keys) == 101
    assert account.server.count("IndexFaces") == 2
    assert account.books.calls["evt-one", "IndexFaces"] == 2


def test_ninety_nine_people_are_sent_once(account: Account) -> None:
    assert len(index_photo(account, crowd(99))) == 99
    assert account.server.count("IndexFaces") == 1


# --- selfies


def test_nothing_of_a_refused_selfie_stays(account: Account) -> None:
    two = np.hstack([cv2.resize(selfie(person), (600, 800)) for person in ("grace", "eileen")])
    check = account.analyzer.check_selfie(two, "front", Keep(GUESTS, "two"))
    assert check.reason == "several_faces" and check.face is None
    assert account.server.count("IndexFaces") == 1
    assert account.faces(SELFIES) == {}


def test_of_a_selfie_only_one_face_is_kept(account: Account) -> None:
    frame = selfie("grace").copy()
    small = cv2.resize(faces.portrait("eileen")[30:230, 120:320], (150, 150), interpolation=cv2.INTER_AREA)
    frame[20:170, 20:170] = small
    key = index_guest(account, frame, "selfie")
    assert account.faces(SELFIES) == {key: "selfie"}


def test_a_selfie_that_is_tried_again_replaces_what_lay_under_its_name(account: Account) -> None:
    old, other = index_guest(account, selfie("grace"), "selfie"), index_guest(account, selfie("eileen"), "other")
    new = index_guest(account, lit(selfie("grace"), 0.9), "selfie", again=True)
    assert old != new
    assert account.faces(SELFIES) == {other: "other", new: "selfie"}
    check = account.analyzer.check_selfie(faces.cat(), "front", Keep(GUESTS, "selfie", again=True))
    assert check.reason == "no_face"
    assert account.faces(SELFIES) == {other: "other"}


# --- the bill


def test_each_billable_call_is_counted_once(account: Account) -> None:
    (key,) = index_photo(account, shot("grace"))
    guest = index_guest(account, selfie("grace"), "selfie")
    account.index.search(GALLERY, [Probe(key=key), probe_of("grace")], 0.8)
    account.index.make_user(GUESTS, "person", [guest])
    account.index.search_users(GUESTS, probe_of("grace"), 0.8)
    account.index.remove(GALLERY, [key])
    list(account.index.contents(GALLERY))
    counted = {operation: number for (event, operation), number in account.books.calls.items() if event == "evt-one"}
    assert counted == {
        "IndexFaces": 2, "SearchFaces": 1, "SearchFacesByImage": 1, "AssociateFaces": 1, "SearchUsersByImage": 1,
    }  # fmt: skip
    assert account.books.calls.total() == sum(counted.values())
    assert {name: account.server.count(name) for name in counted} == counted


def test_a_call_whose_answer_was_lost_is_on_the_bill(account: Account) -> None:
    account.server.faults.lose("IndexFaces", times=2)
    with pytest.raises(Transient):
        index_photo(account, shot("grace"))
    assert account.books.calls["evt-one", "IndexFaces"] == 1


def test_a_limit_stops_calls_before_the_wire(account: Account) -> None:
    account.books.limit = 1
    (key,) = index_photo(account, shot("grace"))
    asked = len(account.server.calls)
    with pytest.raises(LimitReached):
        index_photo(account, shot("eileen"), "another")
    with pytest.raises(LimitReached):
        account.index.search(GALLERY, [probe_of("grace")], 0.8)
    assert len(account.server.calls) == asked
    account.index.remove(GALLERY, [key])
    assert account.faces(PHOTOS) == {}, "erasing costs nothing and is never stopped"
