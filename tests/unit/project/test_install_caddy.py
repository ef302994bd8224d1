"""Caddy for the tests is unpacked from the system's package and never installed; stand-ins play apt and dpkg."""

import os
from pathlib import Path

import pytest

from webapp import install

DOWNLOADS = 'case "$*" in *download*) : > caddy_2.6.2-5_amd64.deb ;; esac'
FAILS_UNTIL_UPDATED = """
case "$*" in
*update*) : > "$0.updated" ;;
*download*) [ -e "$0.updated" ] && : > caddy_2.6.2-5_amd64.deb ;;
esac"""
FAILS = "exit 100"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH, and a virtual environment of the test's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "venv").mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(install, "VENV", tmp_path / "venv")
    _program(
        folder, "dpkg-deb", '/bin/mkdir -p "$3/usr/bin" && : > "$3/usr/bin/caddy" && /bin/chmod +x "$3/usr/bin/caddy"'
    )
    return folder


def test_it_is_unpacked_into_the_virtual_environment(programs: Path) -> None:
    calls = _program(programs, "apt-get", DOWNLOADS)
    assert install.find_caddy() is None
    install.install_caddy()
    assert install.find_caddy() == str(install.VENV / "caddy")
    assert [call.split()[-2:] for call in calls.read_text().splitlines()] == [["download", "caddy"]]


@pytest.mark.parametrize("user", [0, 1000])
def test_only_root_updates_the_lists_of_packages_and_only_once(
    programs: Path, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    calls = _program(programs, "apt-get", FAILS_UNTIL_UPDATED)
    install.install_caddy()
    assert calls.read_text().count("update") == (user == 0)
    assert (install.find_caddy() is not None) == (user == 0)


def test_without_a_package_it_says_what_is_skipped(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _program(programs, "apt-get", FAILS)
    install.install_caddy()
    assert "ARE SKIPPED" in capsys.readouterr().out


def test_without_apt_it_says_what_is_skipped(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install.install_caddy()
    assert "ARE SKIPPED" in capsys.readouterr().out


def test_a_caddy_of_the_machine_is_taken_first(programs: Path) -> None:
    _program(programs, "caddy", "")
    assert install.find_caddy() == str(programs / "caddy")


def _program(folder: Path, name: str, script: str) -> Path:
    """Write a program; returns the file to which it writes its arguments, a line for each call."""
    path, calls = folder / name, folder / f"{name}.calls"
    path.write_text(f'#!/bin/sh\necho "$*" >> "$0.calls"\n{script}\n')
    path.chmod(0o755)
    return calls
