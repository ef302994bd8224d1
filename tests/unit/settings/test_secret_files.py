"""Secrets in files: each can be given so, and whatever is wrong with a file is said without its content."""

import os
from pathlib import Path

import pytest

from tests.support.settings import SECRET
from webapp.errors import ConfigurationError
from webapp.settings import Settings
from webapp.settings.secret_files import SECRETS


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


CONTENT = {
    "database_url": "postgresql+psycopg://db.example.com/findme",
    "redis_url": "redis://cache.example.com/1",
    "smtp_url": "smtp://mail.example.com",
}


def secret_file(folder: Path, content: bytes = f"{SECRET}\n".encode()) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_can_be_given_in_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = CONTENT.get(name, "a secret")
    monkeypatch.setenv(f"{name.upper()}_FILE", str(secret_file(tmp_path, f"  {content}\r\n".encode())))
    value = getattr(Settings.from_env(), name)
    assert (value if isinstance(value, str) else value.get_secret_value()) == content


def test_dotenv_names_files_too_and_the_environment_counts_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"SECRET_KEY_FILE={secret_file(tmp_path)}\nSECRET_KEY=from-env-file\n")
    assert Settings.from_env().secret_key.get_secret_value() == SECRET
    monkeypatch.setenv("SECRET_KEY", "from-the-environment")
    assert Settings.from_env().secret_key.get_secret_value() == "from-the-environment"


def test_a_file_in_the_environment_counts_more_than_a_value_in_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SECRET_KEY=from-env-file\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(secret_file(tmp_path)))
    assert Settings.from_env().secret_key.get_secret_value() == SECRET


def test_a_secret_in_both_ways_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "one")
    monkeypatch.setenv("SECRET_KEY_FILE", str(secret_file(tmp_path)))
    with pytest.raises(ConfigurationError, match="SECRET_KEY and SECRET_KEY_FILE are both set"):
        Settings.from_env()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "can't be read .No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"x" * 70_000, "is larger than"),
    ],
    ids=["missing", "empty", "blank", "binary", "huge"],
)
def test_a_file_that_can_not_be_used_is_named(
    content: bytes | None, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "missing" if content is None else secret_file(tmp_path, content)
    monkeypatch.setenv("SMTP_URL_FILE", str(path))
    with pytest.raises(ConfigurationError, match=fault) as caught:
        Settings.from_env()
    assert f"SMTP_URL_FILE={path}" in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"can't be read .Is a directory|is no file"):
        Settings.from_env()


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "pipe"))
    with pytest.raises(ConfigurationError, match="is no file"):
        Settings.from_env()


def test_a_link_to_a_file_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(secret_file(tmp_path))
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "link"))
    assert Settings.from_env().secret_key.get_secret_value() == SECRET
