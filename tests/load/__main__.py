"""`make load`: the product under the old system's load, beside two stand-ins that match inside the web process."""

import argparse
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.report import ROOT, commit
from tests.load import pictures, report, systems
from tests.load.figures import figures
from tests.load.measuring import Session

PARTS = ("product", "waiting", "standins", "killing")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each scenario, 30 new guests each (default 3)")
    parser.add_argument("--page", action="store_true", help="write the table into docs/performance.md as well")
    options = parser.parse_args()
    kind = os.environ.get("LOAD_DATABASE") or "sqlite"
    if kind not in ("sqlite", "postgresql"):
        parser.error(f"LOAD_DATABASE={kind}: sqlite or postgresql")
    return _measure(kind, options.only, options.rounds, page=options.page or set(options.only) == set(PARTS))


def _measure(kind: str, parts: list[str], rounds: int, *, page: bool) -> int:
    results = _folder(kind)
    event = pictures.event_folder()
    with (
        tempfile.TemporaryDirectory(prefix="findme-load-") as folder,
        systems.prepared(Path(folder), event, kind) as prepared,
    ):
        session = Session(prepared, event, results, rounds)
        conditions = {"commit": commit(), "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"} | session.conditions()
        if "product" in parts:
            session.product()
        if "waiting" in parts:
            session.waiting()
        for site in systems.STANDINS if "standins" in parts else ():
            session.standin(site)
        for name in ("product", *systems.STANDINS) if "killing" in parts else ():
            session.killing(name)
    found = list(figures(session.seen))
    table = report.write(session.seen, found, conditions, results)
    print(f"\n{table}\nwritten to {results}")
    if page:
        report.into_page(table, kind)
    return 0 if all(figure.met for figure in found) and not session.seen.trouble else 1


def _folder(kind: str) -> Path:
    results = ROOT / "load-results" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{kind}"
    results.mkdir(parents=True)
    (ROOT / "load-results" / ".gitignore").write_text("*\n")
    return results


if __name__ == "__main__":
    sys.exit(main())
