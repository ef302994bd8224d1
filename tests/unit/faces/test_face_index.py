"""The local index against a plain computation of the same, in every order of adding and removing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.faces.core.protocols import FaceIndex, Gallery, Hit, Probe
from webapp.faces.local.index import LocalFaceIndex

DIMENSIONS = 16
ONE, TWO = Gallery(1, "one"), Gallery(2, "two")


def found(index: FaceIndex, gallery: Gallery, probes: np.ndarray, floor: float) -> list[Hit]:
    result = index.search(gallery, [Probe(vector=row) for row in probes], floor)
    assert not result.capped
    return result.hits


def vectors(count: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def plain_search(faces: dict[int, np.ndarray], probes: np.ndarray, floor: float) -> list[int]:
    best = {key: float((probes @ vector).max()) for key, vector in faces.items()}
    return sorted((key for key, value in best.items() if value >= floor), key=lambda key: (-best[key], key))


def test_it_serves_the_protocol() -> None:
    index: FaceIndex = LocalFaceIndex()
    assert found(index, ONE, vectors(1), 0.0) == []


def test_finds_best_first_and_never_caps() -> None:
    index, rows = LocalFaceIndex(), vectors(5000)
    index.add(Gallery(7, ""), range(5000), rows)
    hits = found(index, Gallery(7, ""), rows[:1], -1.0)
    assert len(hits) == 5000
    assert hits[0].face_id == 0
    assert hits[0].similarity == pytest.approx(1, abs=1e-5)
    assert [hit.similarity for hit in hits] == sorted((hit.similarity for hit in hits), reverse=True)


def test_takes_the_best_of_several_probes() -> None:
    index, rows = LocalFaceIndex(), vectors(10)
    index.add(ONE, range(10), rows)
    hits = found(index, ONE, rows[[3, 8]], 0.99)
    assert {hit.face_id for hit in hits} == {3, 8}


def test_events_are_apart() -> None:
    index, rows = LocalFaceIndex(), vectors(4)
    index.add(ONE, [10, 11], rows[:2])
    index.add(TWO, [20, 21], rows[2:])
    assert {hit.face_id for hit in found(index, ONE, rows, -1)} == {10, 11}
    index.drop(ONE)
    assert found(index, ONE, rows, -1) == []
    assert {hit.face_id for hit in found(index, TWO, rows, -1)} == {20, 21}
    index.drop(Gallery(99, ""))


def test_a_face_added_again_takes_its_new_vector() -> None:
    index, rows = LocalFaceIndex(), vectors(2)
    index.add(ONE, [5], rows[:1])
    index.add(ONE, [5], rows[1:])
    assert [hit.face_id for hit in found(index, ONE, rows[1:], 0.99)] == [5]
    assert found(index, ONE, rows[:1], 0.99) == []
    assert index.size(ONE) == 1


def test_removing_what_is_unknown_is_no_error() -> None:
    index = LocalFaceIndex()
    index.remove(ONE, [3])
    index.add(ONE, [3], vectors(1))
    index.remove(ONE, [4, 3, 3])
    assert index.size(ONE) == 0
    assert found(index, ONE, vectors(1), -1) == []


@pytest.mark.parametrize("keys", [[1], [1, 2, 3]])
def test_refuses_keys_that_do_not_fit_the_vectors(keys: list[int]) -> None:
    with pytest.raises(ValueError, match="keys for vectors"):
        LocalFaceIndex().add(ONE, keys, vectors(2))


def test_refuses_vectors_of_another_dimension() -> None:
    index = LocalFaceIndex()
    index.add(ONE, [1], vectors(1))
    with pytest.raises(ValueError, match="dimensions"):
        index.add(ONE, [2], np.ones((1, DIMENSIONS + 1), dtype=np.float32))


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
            index.add(ONE, keys, rows[keys])
            truth.update({key: rows[key] for key in keys})
        else:
            index.remove(ONE, keys)
            truth = {key: vector for key, vector in truth.items() if key not in keys}
    assert index.size(ONE) == len(truth)
    probes = vectors(3, seed=9)
    hits = found(index, ONE, probes, floor)
    assert {hit.face_id for hit in hits} == set(plain_search(truth, probes, floor))
