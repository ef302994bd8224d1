"""Secrets in files, as Docker and systemd hand them over: `SECRET_KEY_FILE=/run/secrets/secret_key`."""

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from webapp.errors import ConfigurationError

SECRETS = (
    "secret_key",
    "database_url",
    "redis_url",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "smtp_url",
)
"""The settings that can be read from a file. Addresses are among them, since they carry passwords."""

MOST_BYTES = 64 * 1024


def read(named: Mapping[str, str | None], *, exclusive: bool) -> dict[str, str]:
    """Return the secrets whose `<name>_file` is set in `named`, a mapping of names in lower case.

    Args:
        named: the environment, or the content of `.env` files.
        exclusive: refuse a secret that `named` also holds itself.

    Raises:
        ConfigurationError: a file can't be read, is empty or is no text, or a secret is given in both ways.
    """
    found = {}
    for name in SECRETS:
        path = named.get(f"{name}_file")
        if not path:
            continue
        if exclusive and named.get(name):
            raise ConfigurationError(
                f"{name.upper()} and {name.upper()}_FILE are both set. Keep one, so that it is clear which counts."
            )
        found[name] = _content(name, Path(path))
    return found


def ensure_secret(data_dir: Path) -> str:
    """Return the development installation's own secret, made once and kept in DATA_DIR, readable by its owner only."""
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


def _content(name: str, path: Path) -> str:
    variable = f"{name.upper()}_FILE={path}"
    try:
        # A pipe that nobody writes to would be waited for for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationError(f"{variable} is no file.")
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{variable} can't be read ({error.strerror}). The user that FindMe runs as needs the right to read it."
        ) from error
    if len(content) > MOST_BYTES:
        raise ConfigurationError(f"{variable} is larger than {MOST_BYTES} bytes: this is no secret.")
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{variable} is not UTF-8 text.") from error
    if not text:
        raise ConfigurationError(f"{variable} is empty.")
    return text
