"""`make lint` reads every script, style sheet and template: a pattern that no longer fits leaves none out unseen."""

import json
import re
import subprocess
from pathlib import Path

from webapp.install import VENV
from webapp.settings import ROOT

SCRIPTS_AND_STYLES = "static/js static/css static/build.mjs tests/unit/scripts package.json biome.jsonc"


def below(folder: str, *ends: str) -> list[Path]:
    return [path for path in (ROOT / folder).rglob("*") if path.suffix in ends]


def test_biome_reads_all_scripts_and_style_sheets() -> None:
    wanted = [*below("static/js", ".js"), *below("static/css", ".css"), *below("tests/unit/scripts", ".js")]
    biome = [(VENV / "node").read_text(), "node_modules/@biomejs/biome/bin/biome", "check", "--reporter=json"]
    done = subprocess.run([*biome, *SCRIPTS_AND_STYLES.split()], cwd=ROOT, capture_output=True, text=True, timeout=120)
    read = json.loads(done.stdout)["summary"]
    assert len(wanted) > 50
    assert read["unchanged"] + read["changed"] == len(wanted) + len(["build.mjs", "package.json", "biome.jsonc"])
    assert f"SCRIPTS_AND_STYLES = {SCRIPTS_AND_STYLES}\n" in (ROOT / "Makefile").read_text()


def test_djlint_reads_all_templates() -> None:
    wanted = below("templates", ".html")
    done = subprocess.run(
        [VENV / "bin" / "djlint", "--lint", "templates"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    found = re.search(r"Linted (\d+) files", done.stdout + done.stderr)
    assert len(wanted) > 100
    assert found and int(found[1]) == len(wanted)
