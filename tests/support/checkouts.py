"""Checkouts of the product beside this one, whose scripts and style sheets a test may change."""

import shutil
import subprocess
from pathlib import Path

from webapp.install import VENV
from webapp.settings import ROOT


def checkout(folder: Path, version: str) -> Path:
    """A copy that is built, and whose scripts and style sheets say which version they are."""
    for name in ("webapp", "jobs", "templates", "static"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("built", "__pycache__"))
    for name in ("wsgi.py", "pyproject.toml", "package.json"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    with (folder / "static" / "js" / "shared" / "every-page.js").open("a") as script:
        script.write(f'\ndocument.documentElement.dataset.version = "{version}";\n')
    with (folder / "static" / "css" / "parts" / "base.css").open("a") as style:
        style.write(f'\nbody {{ --version: "{version}"; }}\n')
    subprocess.run([(VENV / "node").read_text(), "static/build.mjs"], cwd=folder, check=True)
    return folder
