"""DATA_DIR is closed to other users: made so, tightened, or refused."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.errors import ConfigurationError
from webapp.private_folder import claim, tighten_contents
from webapp.settings import ROOT

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
STRANGER = 54321


def rights(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DATA_DIR that an earlier version left open, with one file of each kind."""
    data = tmp_path / "data"
    for name in ("blobs/events/a/photo", "logs/web.log", "findme.sqlite", "findme.sqlite-wal", "secret_key"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("x")
        (data / name).chmod(0o644)
    for path in (data, *data.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    return data


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    assert claim(tmp_path / "new" / "data") == ""
    assert rights(tmp_path / "new" / "data") == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777, 0o701, 0o2775])
def test_an_open_folder_is_closed_and_the_next_start_has_nothing_to_say(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    told = claim(folder)
    assert str(folder) in told and f"{mode:04o}" in told
    assert rights(folder) == 0o700
    assert claim(folder) == ""


def test_what_is_in_it_is_tightened_once(folder: Path) -> None:
    tighten_contents(folder)
    assert [path for path in folder.rglob("*") if rights(path) & 0o077] == []
    assert rights(folder / "blobs" / "events" / "a" / "photo") == 0o600
    (folder / "secret_key").chmod(0o644)
    tighten_contents(folder)
    assert rights(folder / "secret_key") == 0o644, "a folder of a million blobs is not walked at each start"


def test_it_is_tightened_again_where_the_folder_was_opened(folder: Path) -> None:
    tighten_contents(folder)
    folder.chmod(0o755)
    (folder / "secret_key").chmod(0o644)
    claim(folder)
    tighten_contents(folder)
    assert rights(folder / "secret_key") == 0o600


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "below" / "file").write_text("x")
    kept = {path: rights(path) for path in (outside, outside / "below", outside / "below" / "file")}
    (folder / "models").symlink_to(outside)
    (folder / "blobs" / "link").symlink_to(outside)
    (folder / "logs" / "link.log").symlink_to(outside / "below" / "file")
    tighten_contents(folder)
    assert {path: rights(path) for path in kept} == kept


def test_files_that_are_not_ours_are_left_alone(folder: Path) -> None:
    (folder / "holiday.jpg").write_text("x")
    (folder / "holiday.jpg").chmod(0o644)
    tighten_contents(folder)
    assert rights(folder / "holiday.jpg") == 0o644


@AS_ROOT
def test_another_users_folder_is_refused(folder: Path) -> None:
    os.chown(folder, STRANGER, STRANGER)
    with pytest.raises(ConfigurationError, match=str(STRANGER)):
        claim(folder)
    assert rights(folder) == 0o755


@AS_ROOT
def test_what_another_user_left_in_an_open_folder_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    os.chown(folder / "secret_key", STRANGER, STRANGER)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="secret_key"):
            claim(folder)


def test_a_folder_for_everybody_is_refused(folder: Path) -> None:
    folder.chmod(0o1777)
    with pytest.raises(ConfigurationError, match="findme-data"):
        claim(folder)
    assert rights(folder) == 0o1777


@pytest.mark.parametrize("place", ["", "inside"])
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_home_is_no_data_dir(folder: Path, place: str, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(mode)
    monkeypatch.setenv("HOME", str(folder / place))
    with pytest.raises(ConfigurationError, match="more than FindMe"):
        claim(folder)
    assert rights(folder) == mode


def test_the_folder_of_the_code_is_no_data_dir() -> None:
    before = rights(ROOT)
    with pytest.raises(ConfigurationError):
        claim(ROOT)
    assert rights(ROOT) == before


@pytest.mark.parametrize("module", ["wsgi", "jobs.rq_settings"])
def test_every_entry_creates_private_files(module: str, tmp_path: Path) -> None:
    code = f"import os; os.umask(0o022); import {module}; open({str(tmp_path / 'file')!r}, 'w').close()"
    env = {"PATH": os.environ["PATH"], "ENVIRONMENT": "development", "SECRET_KEY": "x" * 40, "DATA_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True)
    assert rights(tmp_path / "file") == 0o600
