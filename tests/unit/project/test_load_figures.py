"""The load tests' own arithmetic: what counts as a failure, which requests count as made while matching, and goals."""

import json
from pathlib import Path

from tests.load.figures import figures
from tests.load.killing import Loss
from tests.load.measuring import Measured
from tests.load.runs import Run, read


def _run(upload_ms: float, page_ms: float, *, guests: int = 1) -> Run:
    """One guest whose search lasts from second 10 to 12, with a page call in it and one after it."""
    rows = [
        {"kind": "POST", "name": "POST /api/upload-selfie", "at": 10.0, "ms": upload_ms, "fault": None},
        {"kind": "GET", "name": "GET /api/me", "at": 11.0, "ms": page_ms, "fault": None},
        {"kind": "GET", "name": "GET /api/me", "at": 13.0, "ms": 1.0, "fault": None},
        {"kind": "SEARCH", "name": "done", "at": 10.0, "ms": 2000.0, "fault": None},
    ]
    search = {"kind": "search", "fault": None, "sent": 10.0, "answered": 10.1, "done": 12.0, "first": 11.5}
    return Run(requests=rows, searches=[search], guests=guests)


def test_only_light_calls_during_a_search_count_as_made_while_matching() -> None:
    assert _run(100, 30).pages() == [0.03]


def test_times_of_a_search_run_from_the_sending() -> None:
    assert _run(100, 30).waits("done") == [2.0]
    assert _run(100, 30).waits("first") == [1.5]


def test_a_guest_who_never_handed_in_a_selfie_is_a_failure() -> None:
    assert _run(100, 30).failures == []
    assert len(_run(100, 30, guests=2).failures) == 1


def test_journals_are_read_back(tmp_path: Path) -> None:
    run = _run(100, 30)
    lines = [json.dumps(row) for row in run.requests + run.searches]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    again = read(tmp_path / "x.jsonl", 30)
    assert (again.requests, again.searches) == (run.requests, run.searches)


def test_goals_are_met_or_missed_by_what_was_measured() -> None:
    seen = Measured(losses={"product": Loss(30, 30, 0, 1, 2.0), "pool": Loss(30, 30, 0, 9, 2.0)})
    seen.runs = {("product", "A"): _run(100, 30), ("request", "A"): _run(1900, 30), ("pool", "A"): _run(100, 100)}
    found = {figure.name: figure for figure in figures(seen)}
    assert found["product A: upload-selfie p95"].met
    assert round(found["A: upload-selfie p95, in the request / FindMe"].value) == 19
    assert not found["A: upload-selfie p95, in the request / FindMe"].met
    assert found["A: pages' p95 while matching, FindMe / pool"].met
    assert not found["product: selfies lost by a kill"].met
    assert found["pool: selfies lost by a kill"].met  # it has no goal
