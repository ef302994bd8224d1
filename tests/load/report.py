"""The reports: figures as CSV, a table in Markdown (also into docs/performance.md), and a plot."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from tests.bench.report import ROOT, Figure
from tests.load.figures import JOIN, NAMES, REGISTER, UPLOAD
from tests.load.measuring import Measured
from tests.load.plot import draw
from tests.load.runs import Run, percentile

PAGE = ROOT / "docs" / "performance.md"
ROWS = {
    "A": [
        ("register", lambda run: run.times(REGISTER)),
        ("login", lambda run: run.times("/api/login")),
        ("upload-selfie", lambda run: run.times(UPLOAD)),
        ("light calls while matching", Run.pages),
        ("selfie sent → done", lambda run: run.waits("done")),
        ("selfie sent → first own photo", lambda run: run.waits("first")),
    ],
    "B": [
        ("form with the selfie", lambda run: run.times(JOIN)),
        ("pages, polls and pictures while matching", Run.pages),
        ("selfie sent → done", lambda run: run.waits("done")),
        ("selfie sent → first own photo on the page", lambda run: run.waits("first")),
    ],
}
ROWS["A+"] = ROWS["A"]
TITLES = {
    "A": "Scenario A (the old system's calls)",
    "B": "Scenario B (the same with a browser)",
    "A+": "Scenario A without pauses (each guest asks again 10 to 50 ms after an answer, without end)",
}


def write(seen: Measured, found: Sequence[Figure], conditions: dict[str, object], results: Path) -> str:
    """Everything into the folder of results; returns the table."""
    with (results / "figures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("figure", "value", "unit", "goal", "met"))
        for figure in found:
            writer.writerow((figure.name, f"{figure.value:.4g}", figure.unit, figure.goal, figure.met))
    table = _table(seen, found, conditions)
    (results / "summary.md").write_text(table, encoding="utf-8")
    (results / "plot.svg").write_text(draw(seen), encoding="utf-8")
    return table


def into_page(table: str, kind: str) -> None:
    """Put the table between the page's marks of this kind of database."""
    begin, end = f"<!-- load {kind} -->", f"<!-- end of load {kind} -->"
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if marked.search(page):
        PAGE.write_text(marked.sub(lambda _: f"{begin}\n{table}{end}", page), encoding="utf-8")


def _table(seen: Measured, found: Sequence[Figure], conditions: dict[str, object]) -> str:
    lines = [" · ".join(f"{name.replace('_', ' ')}: {value}" for name, value in conditions.items()), ""]
    for scenario, rows in ROWS.items():
        runs = {name: seen.runs[name, scenario] for name in NAMES if (name, scenario) in seen.runs}
        if runs:
            lines += [f"{TITLES[scenario]}: seconds, p50 / p95 (requests or guests)", "", *_rows(rows, runs), ""]
    if seen.losses:
        lines += ["A web worker killed with work in it (of FindMe an RQ worker, too)", "", *_losses(seen), ""]
    lines += ["| figure | value | goal | |", "|---|---:|---|---|"]
    for figure in found:
        verdict = "" if not figure.goal else "met" if figure.met else "**missed**"
        lines.append(f"| {figure.name} | {figure.value:.3g} {figure.unit} | {figure.goal} | {verdict} |")
    if seen.waiting[0]:
        lines += ["", f"Photos in the queue: {seen.waiting[0]:,} before those runs, {seen.waiting[1]:,} after them."]
    if seen.trouble:
        lines += ["", "**Trouble:**", *(f"- {line}" for line in seen.trouble[:10])]
    return "\n".join(lines) + "\n"


def _rows(rows: list, runs: dict[str, Run]) -> list[str]:  # type: ignore[type-arg]
    lines = ["| | " + " | ".join(NAMES[name] for name in runs) + " |", "|---" + "|---:" * len(runs) + "|"]
    for title, pick in rows:
        lines.append(f"| {title} | " + " | ".join(_cell(pick(run)) for run in runs.values()) + " |")
    lines.append("| requests a second | " + " | ".join(f"{_rate(run):.0f}" for run in runs.values()) + " |")
    lines.append("| failures | " + " | ".join(f"{len(run.failures)}" for run in runs.values()) + " |")
    return lines


def _cell(values: list[float]) -> str:
    if not values:
        return "–"
    return f"{percentile(values, 50):.2f} / {percentile(values, 95):.2f} ({len(values):,})"


def _rate(run: Run) -> float:
    return len(run.requests) / run.seconds if run.seconds else 0.0


def _losses(seen: Measured) -> list[str]:
    lines = ["| | answered 200 | broken off | lost | last result after |", "|---|---:|---:|---:|---:|"]
    for name, loss in seen.losses.items():
        cells = (loss.answered, loss.broken_off, loss.lost, f"{loss.slowest:.1f} s")
        lines.append(f"| {NAMES[name]} | " + " | ".join(str(cell) for cell in cells) + " |")
    return lines
