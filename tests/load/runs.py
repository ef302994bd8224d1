"""Runs locust without its page against a system, and reads what it wrote down."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.load.systems import System
from tests.support.product import ROOT

USERS, SPAWN_RATE = 30, 5
SCENARIOS = {"A": "AppGuest", "B": "PageGuest", "A+": "ApiGuest"}
"""The old system's, the same with a browser, and the old one's without pauses, which takes all that the machine has."""
HEAVY = ("register", "login", "upload-selfie", "validate-selfie", "POST /e/CODE")
"""What hashes a password or takes a picture in; everything else is a page."""


@dataclass
class Run:
    """What guests met in one or several runs of a scenario."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)
    guests: int = 0
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        faults = [f"{row['name']}: {row['fault']}" for row in self.requests if row["fault"]]
        missing = self.guests - len(self.searches)
        return faults + [f"{missing} guests never came to hand in a selfie"] * (missing > 0)

    def add(self, other: "Run") -> None:
        self.requests += other.requests
        self.searches += other.searches
        self.guests += other.guests
        self.seconds += other.seconds

    def times(self, part: str) -> list[float]:
        """Seconds of the requests whose name has this part in it."""
        return [row["ms"] / 1000 for row in self.requests if part in row["name"] and row["kind"] != "SEARCH"]

    def pages(self) -> list[float]:
        """Seconds of light requests that began while a selfie was on its way, from its sending to done."""
        spans = [(row["sent"], row["done"] or row["first"] or row["sent"]) for row in self.searches]
        light = [row for row in self.requests if row["kind"] != "SEARCH" and not any(h in row["name"] for h in HEAVY)]
        return [row["ms"] / 1000 for row in light if any(start <= row["at"] <= end for start, end in spans)]

    def waits(self, moment: str) -> list[float]:
        """Seconds from sending a selfie to `done`, or to `first`, the first own photo."""
        return [row[moment] - row["sent"] for row in self.searches if row[moment]]


def percentile(values: list[float], share: int) -> float:
    """NaN where there is nothing to measure."""
    return float(np.percentile(values, share)) if values else float("nan")


def locust(
    system: System, scenario: str, code: str, selfies: Path, results: Path, *, seconds: int, label: str, waiting: bool
) -> Run:
    """One run of 30 guests; its reports lie in `results` under `label`."""
    journal = results / f"{label}.jsonl"
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    env = kept | {"EVENT_CODE": code, "SELFIES": str(selfies), "LOAD_JOURNAL": str(journal)}
    env |= {"LOAD_WAITING": "1"} if waiting else {}
    command = [sys.executable, "-m", "locust", "-f", "tests/load/locustfile.py", SCENARIOS[scenario], "--headless"]
    command += ["--host", system.url, "-u", str(USERS), "-r", str(SPAWN_RATE), "-t", f"{seconds}s", "--only-summary"]
    command += ["--html", str(results / f"{label}.html"), "--csv", str(results / label), "--exit-code-on-error", "0"]
    with (results / f"{label}.log").open("wb") as log:
        subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=log, stderr=log, timeout=seconds + 120)
    return read(journal, seconds)


def read(journal: Path, seconds: float) -> Run:
    """What a journal tells of one run."""
    run = Run(guests=USERS, seconds=seconds)
    for line in journal.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] == "search":
            run.searches.append(row)
        else:
            run.requests.append(row)
    return run
