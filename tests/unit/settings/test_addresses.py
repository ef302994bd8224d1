"""Addresses that can't be used are refused with a sentence that quotes no part of them."""

from pathlib import Path

import pytest

from webapp.errors import ConfigurationError
from webapp.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "garbage"),
        ("DATABASE_URL", "mysql://u:geheim@db/findme"),
        ("DATABASE_URL", "postgresql://u:ge@heim@db/findme"),
        ("DATABASE_URL", "postgresql://u:Ge@heim:xx@db/findme"),
        ("DATABASE_URL", "postgresql://u:geheim#x@db/findme"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://:ge#heim@cache:6379/0"),
        ("REDIS_URL", "redis://cache:port/0"),
        ("SMTP_URL", "smtp://user:ge#heim@host:587"),
        ("SMTP_URL", "smtp://user:ge/heim@host:587"),
        ("SMTP_URL", "http://geheim"),
        ("SMTP_URL", "smtp://"),
        ("PUBLIC_URL", "https://[::1"),
        ("PUBLIC_URL", "photos.example.com"),
        ("PUBLIC_URL", "https://photos.example.com/geheim"),
        ("S3_ENDPOINT_URL", "notaurl"),
        ("S3_ENDPOINT_URL", "http://key:geheim@store:9000"),
        ("S3_BUCKET", "geheim bucket!"),
        ("AWS_REGION", "eu geheim"),
    ],
)
def test_an_address_that_can_not_be_used_is_named_and_not_quoted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^These settings can't be used: {name} ") as caught:
        Settings.from_env()
    assert "heim" not in str(caught.value) and "Value error" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://findme@/findme?host=/run/postgresql"),
        ("DATABASE_URL", "postgresql+psycopg2://u:p%40ss@[::1]:5432/findme?sslmode=verify-full"),
        ("DATABASE_URL", "postgres://u:p@db.example.com/findme"),
        ("REDIS_URL", "rediss://:p%23ss@cache.example.com:6380/3"),
        ("REDIS_URL", "unix:///run/redis/redis.sock?db=1"),
        ("SMTP_URL", "smtps://user%40example.com:p@mail.example.com"),
        ("PUBLIC_URL", "https://photos.example.com:8443/"),
        ("S3_ENDPOINT_URL", "http://[::1]:9000/"),
        ("S3_BUCKET", "my-photos.2026"),
    ],
)
def test_addresses_that_can_be_used(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    Settings.from_env()


def test_the_driver_of_older_systems_becomes_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg2://u@db/findme")
    assert Settings.from_env().database_url == "postgresql+psycopg://u@db/findme"


@pytest.mark.parametrize("content", [b"SECRET_KEY=\xff\xfe"])
def test_a_file_of_settings_that_is_no_text(content: bytes, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"can't be read .it is not UTF-8 text"):
        Settings.from_env()
