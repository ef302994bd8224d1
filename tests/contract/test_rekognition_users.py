"""User vectors: one vector of several pictures of a person, made, searched and taken apart again."""

import pytest

from tests.support.rekognition import GUESTS, SELFIES, Account, index_guest, probe_of
from tests.support.scenes import lit, selfie
from webapp.errors import NotFound
from webapp.faces.core.protocols import Gallery, Probe


def guests(account: Account, person: str, count: int) -> list[str]:
    return [index_guest(account, lit(selfie(person), 1 - n / 10), f"{person}-{n}") for n in range(count)]


def test_a_person_is_found_by_the_vector_of_their_selfies(account: Account) -> None:
    of_grace, of_eileen = guests(account, "grace", 3), guests(account, "eileen", 2)
    account.index.make_user(GUESTS, "p-grace", of_grace)
    account.index.make_user(GUESTS, "p-eileen", of_eileen)
    assert account.users() == {"p-grace": of_grace, "p-eileen": of_eileen}
    assert sorted(account.index.users(GUESTS)) == ["p-eileen", "p-grace"]
    (hit,) = account.index.search_users(GUESTS, probe_of("grace"), 0.8)
    assert hit.user_id == "p-grace" and 0.8 <= hit.similarity <= 1
    both = account.index.search_users(GUESTS, probe_of("grace"), 0.0)
    assert [one.user_id for one in both] == ["p-grace", "p-eileen"]
    assert account.index.search_users(GUESTS, Probe(key=of_eileen[0]), 0.8) == [], "only a picture is searched with"


def test_a_user_is_made_of_exactly_these_faces_however_often(account: Account) -> None:
    first, second, third = guests(account, "grace", 3)
    for keys in ([first, second], [first, second], [third, second], [third]):
        account.index.make_user(GUESTS, "person", keys)
        assert sorted(account.users()["person"]) == sorted(keys)
    account.index.make_user(GUESTS, "person", [])
    assert account.users() == {}
    account.index.make_user(GUESTS, "person", [first])
    assert account.users() == {"person": [first]}, "made anew after it was gone"


def test_faces_that_do_not_look_alike_are_one_person_if_their_person_says_so(account: Account) -> None:
    keys = guests(account, "grace", 1) + guests(account, "eileen", 1)
    account.index.make_user(GUESTS, "person", keys)
    assert account.users() == {"person": keys}


def test_a_face_goes_from_one_person_to_another(account: Account) -> None:
    first, second = guests(account, "grace", 2)
    account.index.make_user(GUESTS, "one", [first, second])
    account.index.make_user(GUESTS, "other", [second])
    assert account.users() == {"one": [first], "other": [second]}


def test_a_face_that_is_not_there_is_said(account: Account) -> None:
    (key,) = guests(account, "grace", 1)
    account.index.remove(GUESTS, [key])
    with pytest.raises(NotFound) as missing:
        account.index.make_user(GUESTS, "person", [key])
    assert missing.value.code == "engine_face_missing"


def test_a_lost_answer_while_a_user_is_made_does_no_harm(account: Account) -> None:
    (key,) = guests(account, "grace", 1)
    for operation in ("CreateUser", "AssociateFaces"):
        account.server.faults.lose(operation)
        account.index.make_user(GUESTS, "person", [key])
        assert account.users() == {"person": [key]}


def test_a_face_of_a_users_vector_can_be_deleted(account: Account) -> None:
    first, second = guests(account, "grace", 2)
    (other,) = guests(account, "eileen", 1)
    account.index.make_user(GUESTS, "one", [first, second])
    account.index.make_user(GUESTS, "other", [other])
    account.index.remove(GUESTS, [first, other])
    assert account.faces(SELFIES) == {second: "grace-1"}
    assert account.users() == {"one": [second], "other": []}


def test_a_user_goes_and_its_faces_stay(account: Account) -> None:
    keys = guests(account, "grace", 2)
    account.index.make_user(GUESTS, "person", keys)
    account.index.remove_user(GUESTS, "person")
    account.index.remove_user(GUESTS, "person")
    account.index.remove_user(Gallery(5, "evt-none", "guests"), "person")
    assert account.users() == {} and sorted(account.faces(SELFIES)) == sorted(keys)
    account.index.drop(GUESTS)
    assert SELFIES not in account.server.contents()
