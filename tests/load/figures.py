"""Figures with their goals, out of what was measured."""

from collections.abc import Iterator

from tests.bench.report import Figure
from tests.load.measuring import Measured
from tests.load.runs import SCENARIOS, Run, percentile

REGISTER, UPLOAD, JOIN = "register-with-event-code", "upload-selfie", "POST /e/CODE"
NAMES = {
    "product": "FindMe",
    "waiting": "FindMe, 5,000 photos waiting",
    "request": "matching in the request",
    "pool": "matching in a pool of 10 threads",
}
"""The headings of tables."""


def figures(seen: Measured) -> Iterator[Figure]:
    """Every goal that can be told from what was run."""
    for (name, scenario), run in seen.runs.items():
        if name in ("product", "waiting"):
            yield from _own(name, scenario, run)
    yield from _ratios(seen)
    for name, loss in seen.losses.items():
        goal = 0 if name == "product" else None
        yield Figure(f"{name}: selfies lost by a kill", loss.lost, f"of {loss.answered} answered", at_most=goal)


def _own(name: str, scenario: str, run: Run) -> Iterator[Figure]:
    yield Figure(f"{name} {scenario}: failures", len(run.failures), "", at_most=0)
    for call in (JOIN,) if scenario == "B" else (REGISTER, UPLOAD):
        if times := run.times(call):
            yield Figure(f"{name} {scenario}: {call} p95", percentile(times, 95), "s", at_most=1)
    if name == "product":
        yield Figure(f"{name} {scenario}: sent → done p95", percentile(run.waits("done"), 95), "s", at_most=5)
    yield Figure(f"{name} {scenario}: sent → first photo p50", percentile(run.waits("first"), 50), "s", at_most=2)
    yield Figure(f"{name} {scenario}: sent → first photo p95", percentile(run.waits("first"), 95), "s", at_most=5)


def _ratios(seen: Measured) -> Iterator[Figure]:
    for scenario in SCENARIOS:
        mine = seen.runs.get(("product", scenario))
        request, pool = seen.runs.get(("request", scenario)), seen.runs.get(("pool", scenario))
        call = JOIN if scenario == "B" else UPLOAD
        if mine and request:
            ratio = percentile(request.times(call), 95) / percentile(mine.times(call), 95)
            goal = 20 if scenario == "A" else None
            yield Figure(f"{scenario}: {call} p95, in the request / FindMe", ratio, "", at_least=goal)
        if mine and pool:
            ratio = percentile(mine.pages(), 95) / percentile(pool.pages(), 95)
            yield Figure(f"{scenario}: pages' p95 while matching, FindMe / pool", ratio, "", at_most=1 / 3)
