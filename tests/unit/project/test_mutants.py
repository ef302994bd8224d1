"""The deliberate faults of `make mutants`: they still fit the code, and the tests that have to find them are there."""

import pytest

from tests.mutants import ROOT, Mutant, all_mutants

SUBJECTS = {
    "visibility",
    "claims",
    "unit_of_work",
    "dedupe",
    "selfie_gate",
    "csrf",
    "permissions",
    "erasure",
    "order_of_arrival",
    "polling",
}


def test_each_subject_has_one() -> None:
    assert {mutant.name for mutant in all_mutants()} >= SUBJECTS


@pytest.mark.parametrize("mutant", all_mutants(), ids=lambda mutant: mutant.name)
def test_it_fits_the_code_and_names_its_tests(mutant: Mutant) -> None:
    mutant.apply(ROOT, "--check")
    assert mutant.fault.endswith(".")
    assert mutant.tests
    assert [test for test in mutant.tests if not (ROOT / test).is_file()] == []
