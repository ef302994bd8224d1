"""The local index against a plain computation of the same, in every order of adding and removing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.faces.local.index import LocalFaceIndex
from webapp.faces.protocols import FaceIndex

DIMENSIONS = 16


def vectors(count: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def plain_search(faces: dict[int, np.ndarray], probes: np.ndarray, floor: float) -> list[int]:
    best = {key: float((probes @ vector).max()) for key, vector in faces.items()}
    return sorted((key for key, value in best.items() if value >= floor), key=lambda key: (-best[key], key))


def test_it_serves_the_protocol() -> None:
    index: FaceIndex = LocalFaceIndex()
    assert index.search(1, vectors(1), 0.0) == []


def test_finds_best_first_and_never_caps() -> None:
    index, rows = LocalFaceIndex(), vectors(5000)
    index.add(7, range(5000), rows)
    hits = index.search(7, rows[:1], -1.0)
    assert len(hits) == 5000
    assert hits[0].face_id == 0
    assert hits[0].similarity == pytest.approx(1, abs=1e-5)
    assert [hit.similarity for hit in hits] == sorted((hit.similarity for hit in hits), reverse=True)


def test_takes_the_best_of_several_probes() -> None:
    index, rows = LocalFaceIndex(), vectors(10)
    index.add(1, range(10), rows)
    hits = index.search(1, rows[[3, 8]], 0.99)
    assert {hit.face_id for hit in hits} == {3, 8}


def test_events_are_apart() -> None:
    index, rows = LocalFaceIndex(), vectors(4)
    index.add(1, [10, 11], rows[:2])
    index.add(2, [20, 21], rows[2:])
    assert {hit.face_id for hit in index.search(1, rows, -1)} == {10, 11}
    index.drop(1)
    assert index.search(1, rows, -1) == []
    assert {hit.face_id for hit in index.search(2, rows, -1)} == {20, 21}
    index.drop(99)


def test_a_face_added_again_takes_its_new_vector() -> None:
    index, rows = LocalFaceIndex(), vectors(2)
    index.add(1, [5], rows[:1])
    index.add(1, [5], rows[1:])
    assert [hit.face_id for hit in index.search(1, rows[1:], 0.99)] == [5]
    assert index.search(1, rows[:1], 0.99) == []
    assert index.size(1) == 1


def test_removing_what_is_unknown_is_no_error() -> None:
    index = LocalFaceIndex()
    index.remove(1, [3])
    index.add(1, [3], vectors(1))
    index.remove(1, [4, 3, 3])
    assert index.size(1) == 0
    assert index.search(1, vectors(1), -1) == []


@pytest.mark.parametrize("keys", [[1], [1, 2, 3]])
def test_refuses_keys_that_do_not_fit_the_vectors(keys: list[int]) -> None:
    with pytest.raises(ValueError, match="keys for vectors"):
        LocalFaceIndex().add(1, keys, vectors(2))


def test_refuses_vectors_of_another_dimension() -> None:
    index = LocalFaceIndex()
    index.add(1, [1], vectors(1))
    with pytest.raises(ValueError, match="dimensions"):
        index.add(1, [2], np.ones((1, DIMENSIONS + 1), dtype=np.float32))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 700), min_size=1, max_size=400)), max_size=8),
    floor=st.floats(-0.5, 0.6),
)
def test_equals_a_plain_search_whatever_was_added_and_removed(
    steps: list[tuple[bool, list[int]]], floor: float
) -> None:
    index, truth, rows = LocalFaceIndex(), {}, vectors(701, seed=3)
    for adding, keys in steps:
        if adding:
            index.add(1, keys, rows[keys])
            truth.update({key: rows[key] for key in keys})
        else:
            index.remove(1, keys)
            truth = {key: vector for key, vector in truth.items() if key not in keys}
    assert index.size(1) == len(truth)
    probes = vectors(3, seed=9)
    found = index.search(1, probes, floor)
    assert {hit.face_id for hit in found} == set(plain_search(truth, probes, floor))
