"""`make mutants`: does the suite find each deliberate fault? ARGS="csrf claims" for some of them.

Each fault goes into a copy of the project, and the tests that its patch names have to fail there. First they have to
pass in a copy without a fault, or their failure would prove nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants import ROOT, Mutant, all_mutants
from tests.support.faces import find_faces_dir

AT_ONCE = 2
SKIPPED = shutil.ignore_patterns(".git", ".venv", "node_modules", "data", "__pycache__", ".*_cache", "load-results")
_FOUND, _PASSED = 1, 0
"""pytest's exit status when tests failed, and when all passed; any other one is trouble of another kind."""


def main() -> int:
    """Returns 0 when every fault was found."""
    named = sys.argv[1:]
    mutants = [mutant for mutant in all_mutants() if not named or mutant.name in named]
    if unknown := set(named) - {mutant.name for mutant in mutants}:
        sys.exit(f"There is no {', '.join(sorted(unknown))}: see {Path(__file__).parent.relative_to(ROOT)}")
    with tempfile.TemporaryDirectory(prefix="findme-mutants-") as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        status, said = _run(Path(folder), None, sorted({test for mutant in mutants for test in mutant.tests}))
        if status != _PASSED:
            print(said)
            sys.exit("Without any fault these tests have to pass.")
        outcomes = list(pool.map(lambda mutant: _try(Path(folder), mutant), mutants))
    print(f"{sum(outcomes)} found, {outcomes.count(False)} not found")
    return 0 if all(outcomes) else 1


def _try(folder: Path, mutant: Mutant) -> bool:
    began = time.monotonic()
    status, said = _run(folder, mutant, mutant.tests)
    if status not in (_FOUND, _PASSED):
        print(said)
        sys.exit(f"{mutant.name}: pytest ended with {status}, which says nothing about the fault.")
    first = re.search(r"^FAILED (\S+)", said, re.MULTILINE)
    by = f"found by {first[1]}" if first else "NOT FOUND"
    print(f"{mutant.name:18}{time.monotonic() - began:6.0f} s  {by}\n{'':28}{mutant.fault}", flush=True)
    return first is not None


def _run(folder: Path, mutant: Mutant | None, tests: Iterable[str]) -> tuple[int, str]:
    """Run tests in a new copy of the project, with a fault or without; returns pytest's exit status and output."""
    tree = folder / (mutant.name if mutant else "sound")
    shutil.copytree(ROOT, tree, ignore=SKIPPED, symlinks=True)
    if mutant:
        mutant.apply(tree)
    until_first = ["-x", "-n", "0"] if mutant else ["-n", str(AT_ONCE)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *until_first, *tests]
    faces = find_faces_dir()
    labelled = {"FACES_DIR": str(faces)} if faces else {}
    done = subprocess.run(command, cwd=tree, env=os.environ | labelled, capture_output=True, text=True)
    shutil.rmtree(tree)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
