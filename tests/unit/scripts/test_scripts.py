"""Runs the tests of our scripts, which are written for Node's own test runner: one test here for each file there."""

import subprocess
from pathlib import Path

import pytest

from webapp.install import VENV
from webapp.settings import ROOT

FOLDER = Path(__file__).parent


def test_the_tests_of_scripts_are_found() -> None:
    assert len(list(FOLDER.glob("*.test.js"))) >= 9


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.test.js")))
def test_scripts(file: str) -> None:
    node = (VENV / "node").read_text()
    done = subprocess.run([node, "--test", FOLDER / file], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout
