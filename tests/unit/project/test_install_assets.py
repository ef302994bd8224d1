"""`make install` makes again what has gone, or whose sources have changed, and nothing else."""

import shutil
import sys
from pathlib import Path

import pytest

from webapp import install

DEV, RUN = "dev", "run"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What an installation in a checkout of its own has done so far."""
    for name in ("package.json", "package-lock.json", "webapp/run/assets.py", "static/build.mjs", "static/js/a.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    venv = tmp_path / ".venv"
    for name, value in (("ROOT", tmp_path), ("VENV", venv), ("STAMPS", venv / "stamps")):
        monkeypatch.setattr(install, name, value)
    done: list[str] = []

    def packages(target: str) -> None:
        done.append(f"packages for {target}")
        for folder in (venv, tmp_path / "node_modules", tmp_path / "static" / "vendor"):
            folder.mkdir(parents=True, exist_ok=True)
        (venv / "node").write_text(sys.executable)

    def build() -> None:
        done.append("build")
        (tmp_path / "static" / "built").mkdir(exist_ok=True)
        (tmp_path / "static" / "built" / "manifest.json").write_text("{}")

    monkeypatch.setattr(install, "install_node_packages", packages)
    monkeypatch.setattr(install, "build_pages", build)
    install.install_assets(RUN)
    assert done == ["packages for run", "build"]
    done.clear()
    return done


def test_a_second_run_has_nothing_to_do(steps: list[str]) -> None:
    install.install_assets(RUN)
    assert steps == []


def test_the_packages_of_development_serve_to_run_as_well(steps: list[str]) -> None:
    install.install_assets(DEV)
    assert "packages for dev" in steps
    steps.clear()
    install.install_assets(RUN)
    install.install_assets(DEV)
    assert not [step for step in steps if step != "build"]


@pytest.mark.parametrize("gone", ["node_modules", "static/vendor", ".venv/node"])
def test_what_has_gone_is_installed_again(steps: list[str], gone: str) -> None:
    path = install.ROOT / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    install.install_assets(RUN)
    assert steps[0] == "packages for run"
    assert path.exists()


def test_a_node_that_has_gone_is_looked_for_again(steps: list[str]) -> None:
    (install.VENV / "node").write_text("/nowhere/bin/node")
    install.install_assets(RUN)
    assert steps == ["packages for run"]


def test_pages_are_built_again_from_changed_sources_or_where_they_have_gone(steps: list[str]) -> None:
    (install.ROOT / "static" / "js" / "a.js").write_text("other")
    install.install_assets(RUN)
    assert steps == ["build"]
    (install.ROOT / "static" / "js" / "b.js").write_text("new")
    install.install_assets(RUN)
    assert steps == ["build"] * 2
    shutil.rmtree(install.ROOT / "static" / "built")
    install.install_assets(RUN)
    assert steps == ["build"] * 3
