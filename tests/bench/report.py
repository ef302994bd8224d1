"""Figures, their goals, and the CSV file that keeps them with the commit and the machine."""

import csv
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench-results"
COLUMNS = ("commit", "measured_at", "processors", "figure", "value", "unit", "goal", "met")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. A goal is met at or below `at_most`, or at or above `at_least`."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool:
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    @property
    def goal(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"


def report(name: str, figures: Iterable[Figure]) -> int:
    """Print each figure as it comes, write all to bench-results/; the exit status is 1 if a goal was missed."""
    kept = []
    for figure in figures:
        kept.append(figure)
        verdict = "" if not figure.goal else f"   goal {figure.goal}: {'met' if figure.met else 'MISSED'}"
        print(f"{figure.name:<52} {figure.value:>10.4g} {figure.unit}{verdict}", flush=True)
    path = _write(name, kept)
    print(f"written to {path}")
    return 0 if all(figure.met for figure in kept) else 1


def _write(name: str, figures: list[Figure]) -> Path:
    now = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ".gitignore").write_text("*\n")
    path = RESULTS / f"{name}-{now:%Y%m%d-%H%M%S}.csv"
    head = (commit(), now.isoformat(timespec="seconds"), os.cpu_count())
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for figure in figures:
            verdict = ("yes" if figure.met else "no") if figure.goal else ""
            writer.writerow((*head, figure.name, f"{figure.value:.6g}", figure.unit, figure.goal, verdict))
    return path


def commit() -> str:
    """The commit that is measured, with `+` where the work tree differs from it."""
    revision = _git("rev-parse", "--short", "HEAD") or "uncommitted"
    return revision + ("+" if _git("status", "--porcelain") else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
