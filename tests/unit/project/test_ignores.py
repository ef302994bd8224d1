"""Rules of ruff are set aside with a reason, and those about security at the place alone."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RUFF = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
_BARE = re.compile(r"# noqa(?!: [A-Z]+\d+ - \S)")


def _sources() -> list[Path]:
    folders = ("webapp", "jobs", "tests")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path != Path(__file__)]


def test_each_noqa_names_its_rule_and_its_reason() -> None:
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in _sources()
        for line in path.read_text().splitlines()
        if _BARE.search(line)
    ]
    assert lines == []


def test_no_rule_about_security_is_off_everywhere() -> None:
    assert "S" in RUFF["select"]
    assert [rule for rule in RUFF["ignore"] if re.fullmatch(r"S\d*", rule)] == []
    assert [place for place, rules in RUFF["per-file-ignores"].items() if "S" in rules] == []


def test_a_shell_or_a_pickle_is_found_in_the_app() -> None:
    probe = "import pickle, subprocess\n\nsubprocess.run('ls ' + name, shell=True)\npickle.loads(name)\nassert name\n"
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--output-format=concise",
        "--stdin-filename=webapp/probe.py",
        "-",
    ]
    done = subprocess.run(command, cwd=ROOT, input=probe, capture_output=True, text=True)
    assert {"S602", "S301", "S101"} <= set(re.findall(r"\bS\d+\b", done.stdout)), done.stdout + done.stderr
