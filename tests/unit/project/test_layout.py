"""The layout of the code is the one that docs/architecture.md and import-linter's contracts say it is."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = sorted(path for room in ("webapp", "jobs") for path in (ROOT / room).rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_each_package_says_what_belongs_there_and_what_does_not(package: Path) -> None:
    said = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""
    assert len(re.findall(r"[.;](?:\s|$)", said)) >= 2, "two sentences"


def test_little_lies_flat() -> None:
    assert len(list((ROOT / "webapp" / "services").glob("*.py"))) <= 3
    assert len(list((ROOT / "webapp").glob("*.py"))) <= 18


def test_the_page_draws_the_layers_that_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    checked = {
        contract["containers"][0]: [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    }
    drawn: dict[str, list[list[str]]] = {"webapp": []}
    for line in PAGE.partition("## Layers")[2].split("```")[1].strip().splitlines():
        indent = len(line) - len(line.lstrip())
        if indent <= 4:
            names = re.split(r"\s{2,}", line.strip())[0].split(" · ")
            room = f"webapp.{drawn['webapp'][-1][0]}" if indent else "webapp"
            drawn.setdefault(room, []).append(names)
    assert drawn == {room: layers for room, layers in checked.items() if room != "webapp.faces"}


def test_files_that_the_page_names_exist() -> None:
    """A name without a folder is a file beside the one that was named last."""
    missing, folder = [], ROOT
    for name in re.findall(r"`([\w/.-]+\.(?:py|md|toml|example)|[\w/]+/)`", PAGE):
        found = [base / name for base in (ROOT, ROOT / "webapp", folder) if (base / name).exists()]
        if not found:
            missing.append(name)
        elif "/" in name:
            folder = found[0] if found[0].is_dir() else found[0].parent
    assert missing == []
