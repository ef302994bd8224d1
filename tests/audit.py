"""`make audit`: ask for published advisories about every locked version, of Python packages and of the page's assets.

pip-audit asks OSV about all that the lock files name, for every platform, and `npm audit` asks the npm registry
about package-lock.json. An advisory fails the run, unless IGNORED names it. A service that can't be reached, answers
something else, or takes longer than SECONDS doesn't fail it: one loud line says that nothing was asked.
What was found in order counts until midnight (UTC) or until a lock file changes; `--again` asks at once.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from webapp import install

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60
"""For each of the two services."""
_ANSWER_SECONDS = 5
_AT_ONCE = 2
"""OSV is asked about one package after the other; so many processes do that."""


@dataclass(frozen=True)
class Ignored:
    """An advisory that does no harm here, or that nothing can be done about yet."""

    advisory: str
    """As the failed run names it: PYSEC-…, GHSA-…, CVE-…."""
    package: str
    reason: str
    until: date
    """The last day on which it is ignored, at most three months ahead: then somebody looks at it anew."""


IGNORED: tuple[Ignored, ...] = ()


@dataclass(frozen=True)
class Finding:
    """An advisory about a locked version."""

    package: str
    version: str
    """Of npm's packages the range of versions that it is about."""
    advisories: tuple[str, ...]
    """Its id and those of other databases for the same fault."""
    remark: str
    """What would mend it, or of npm's what it is."""

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {', '.join(self.advisories)} ({self.remark})"


Pin = tuple[str, str]
"""Name and version of a package."""


class NotDone(Exception):
    """A service could not be asked; the message says why, in half a sentence."""


def pins_of(*lock_files: Path) -> set[Pin]:
    """All that lock files name, whatever platform it is for."""
    line = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
    return {(found[1], found[2]) for file in lock_files for found in line.finditer(file.read_text())}


def python_findings(pins: Iterable[Pin], *options: str, seconds: float = SECONDS) -> list[Finding]:
    """What OSV knows of these packages. `options` go to pip-audit.

    Raises:
        NotDone: it did not answer for each of them.
    """
    # Versions of one package for different Pythons follow each other here, and so come to different processes:
    # pip-audit takes each name once.
    ordered = sorted(pins)
    parts = [part for number in range(_AT_ONCE) if (part := ordered[number::_AT_ONCE])]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(chain.from_iterable(pool.map(lambda part: _ask_osv(part, options, seconds), parts)))


def _ask_osv(pins: Sequence[Pin], options: Sequence[str], seconds: float) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="findme-audit-") as folder, _understood():
        (file := Path(folder) / "pins.txt").write_text("".join(f"{name}=={version}\n" for name, version in pins))
        source = ["--vulnerability-service=osv", f"--timeout={_ANSWER_SECONDS}", f"--cache-dir={folder}", *options]
        given = ["--no-deps", "--disable-pip", "-r", str(file)]
        shown = ["--format=json", "--desc=off", "--aliases=on", "--progress-spinner=off"]
        rows = _ask([sys.executable, "-m", "pip_audit", *source, *given, *shown], seconds)["dependencies"]
        answered = {(canonicalize_name(row["name"]), Version(row["version"])) for row in rows if "vulns" in row}
        for name, version in pins:
            if (canonicalize_name(name), Version(version)) not in answered:
                raise NotDone(f"no answer about {name} {version}")
        return [
            Finding(row["name"], row["version"], (fault["id"], *fault["aliases"]), _mended(fault["fix_versions"]))
            for row in rows
            for fault in row["vulns"]
        ]


def _mended(versions: Sequence[str]) -> str:
    return f"fixed in {', '.join(versions)}" if versions else "no fixed version yet"


def npm_findings(folder: Path, *options: str, seconds: float = SECONDS) -> list[Finding]:
    """What the npm registry knows of the packages of a folder's package-lock.json. `options` go to npm.

    Raises:
        NotDone: it did not answer.
    """
    patience = ["--fetch-retries=0", f"--fetch-timeout={_ANSWER_SECONDS * 1000}"]
    try:
        command = [*install.node_commands()[1], "audit", "--package-lock-only", "--json", *patience, *options]
    except install.InstallError as error:
        raise NotDone(str(error)) from error
    with _understood():
        rows = _ask(command, seconds, folder)["vulnerabilities"]
        return [
            Finding(name, row["range"], (advisory["url"].rpartition("/")[2],), advisory["title"])
            for name, row in rows.items()
            for advisory in row["via"]
            if isinstance(advisory, dict)  # else the name of a package below, which has a row of its own
        ]


@contextmanager
def _understood() -> Iterator[None]:
    """An answer of another shape is none."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise NotDone(f"the answer makes no sense ({error!r})") from error


def _ask(command: Sequence[str], seconds: float, folder: Path = ROOT) -> Any:
    """Run a program that answers in JSON, whatever its exit status: that is 1 for findings and for failures.

    Raises:
        NotDone: it took too long, its answer is no JSON, or it is npm's message about an error.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise NotDone(f"no answer within {seconds:g} seconds") from error
    except ValueError as error:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no answer"]
        raise NotDone(said[-1][:300]) from error
    if isinstance(answer, dict) and "message" in answer:
        raise NotDone(str(answer["message"])[:300])
    return answer


def split(findings: Iterable[Finding], ignored: Iterable[Ignored], today: date) -> tuple[list[str], list[str]]:
    """Lines about findings: those that fail the run, and those that are ignored."""
    failing, passed = [], []
    for finding in findings:
        entry = next((row for row in ignored if _is_about(row, finding)), None)
        if entry is None:
            failing.append(str(finding))
        elif entry.until < today:
            failing.append(f"{finding}; was ignored until {entry.until}: {entry.reason}")
        else:
            passed.append(f"{finding}; ignored until {entry.until}: {entry.reason}")
    return failing, passed


def _is_about(row: Ignored, finding: Finding) -> bool:
    return row.package == finding.package and row.advisory in finding.advisories


def report(name: str, ask: Callable[[], list[Finding]], ignored: Iterable[Ignored] = IGNORED) -> bool | None:
    """Ask one service and say what came of it. True: in order; False: an advisory; None: it could not be asked."""
    try:
        findings = ask()
    except NotDone as why:
        print(f"!!! AUDIT NOT DONE: {name} could not be asked for advisories: {why} !!!", flush=True)
        return None
    failing, passed = split(findings, ignored, datetime.now(UTC).date())
    for line in passed:
        print(f"  {name}: {line}")
    for line in failing:
        print(f"ADVISORY ({name}) {line}", flush=True)
    return not failing


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where an advisory is known, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("--again", action="store_true", help="ask although nothing changed today")
    parser.add_argument("--osv-url", help="another address of OSV")
    parser.add_argument("--registry", help="another npm registry")
    wanted = parser.parse_args(arguments)
    locks = sorted(ROOT.glob("requirements*.txt"))
    osv = [f"--osv-url={wanted.osv_url}"] if wanted.osv_url else []
    npm = [f"--registry={wanted.registry}"] if wanted.registry else []
    sources = {
        "OSV": (locks, lambda: python_findings(pins_of(*locks), *osv)),
        "npm": ([ROOT / "package.json", ROOT / "package-lock.json"], lambda: npm_findings(ROOT, *npm)),
    }
    again = wanted.again or bool(osv or npm)
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda name: _daily(name, *sources[name], again=again), sources))
    if False in outcomes:
        print("Take a newer version (make lock UPGRADE=--upgrade), or say in tests/audit.py why it does no harm.")
    return int(False in outcomes)


def _daily(name: str, files: Sequence[Path], ask: Callable[[], list[Finding]], *, again: bool) -> bool | None:
    """Do not ask twice a day about the same files."""
    stamp = install.STAMPS / f"audit-{name}"
    today = install.digest(*files, Path(__file__), datetime.now(UTC).date().isoformat())
    if not again and stamp.is_file() and stamp.read_text() == today:
        return True
    outcome = report(name, ask)
    if outcome and not again:
        stamp.write_text(today)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
