"""Settings with which nothing is served."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.settings import make_settings
from webapp.errors import ConfigurationError

PRODUCTION: dict[str, Any] = {"environment": "production", "public_url": "https://photos.example.com"}
CLOUD = {"blob_store": "s3", "s3_bucket": "photos", "aws_region": "eu-west-1", "database_url": "postgresql://db/findme"}


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make_settings(folder, "", **changes).check_for_serving()
    return str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short",
        "0123456789abcdef0123456789abcde",
        "a" * 64,
        "abab" * 20,
        "change-me-before-you-serve-0123456789abcdef",
    ],
)
def test_a_secret_that_can_be_guessed_is_refused(secret: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, **PRODUCTION, secret_key=secret)
    assert "SECRET_KEY" in said and "secrets.token_urlsafe(48)" in said
    assert len(secret) < 10 or secret not in said


@pytest.mark.parametrize("url", ["", "http://photos.example.com", "http://localhost"])
def test_production_needs_an_https_address(url: str, tmp_path: Path) -> None:
    assert "PUBLIC_URL must be the https:// address" in refusal(tmp_path, environment="production", public_url=url)


def test_all_refusals_are_said_at_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, environment="production", public_url="http://here", secret_key="short", render=True)
    assert all(name in said for name in ("SECRET_KEY", "PUBLIC_URL", "BLOB_STORE=s3", "DATABASE_URL"))


def test_render_needs_a_store_and_a_database_that_all_services_see(tmp_path: Path) -> None:
    assert "BLOB_STORE must be s3 on Render" in refusal(tmp_path, **PRODUCTION, render=True)
    assert "DATABASE_URL" in refusal(tmp_path, **PRODUCTION, **(CLOUD | {"database_url": ""}), render=True)
    make_settings(tmp_path, "", **PRODUCTION, **CLOUD, render=True).check_for_serving()


def test_what_is_well_is_served(tmp_path: Path) -> None:
    make_settings(tmp_path, "", **PRODUCTION).check_for_serving()
    make_settings(tmp_path, "", environment="development", secret_key="x" * 40).check_for_serving()
