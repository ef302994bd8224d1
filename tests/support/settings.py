"""Settings as tests make them: nothing comes from the environment."""

from pathlib import Path

from pydantic import SecretStr

from tests.support.databases import SQLITE_FILE
from webapp.settings import Settings

SECRET = "tests-only-" + "s" * 40


def make_settings(data_dir: Path, redis_url: str, **changes: object) -> Settings:
    """Settings of a test: only `changes` differ from what the settings say by themselves."""
    values = {
        "environment": "testing",
        "data_dir": data_dir,
        "secret_key": SecretStr(SECRET),
        "redis_url": redis_url,
        "database_url": f"sqlite:///{data_dir / SQLITE_FILE}",
        "public_url": "http://localhost",
    }
    return Settings(_env_file=None, **(values | changes))
