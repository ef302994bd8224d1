"""Write docs/settings.md from the code: `python -m webapp.ops.settings_page`."""

import re
from collections.abc import Iterator
from inspect import getsource
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from webapp.settings import ROOT, Settings
from webapp.settings.secret_files import SECRETS

PAGE = ROOT / "docs" / "settings.md"
_GROUP = re.compile(r"^    # --- (?P<title>.+) ---$|^    (?P<name>[a-z_0-9]+): ", re.MULTILINE)

_HEAD = """# Settings

Written by `python -m webapp.ops.settings_page` from `webapp/settings/fields.py`; a test compares the two. Each setting
is an environment variable, or a line of `.env` in the folder of the code; the environment counts more.
[.env.example](../.env.example) says more of some.

What can't be used is refused at the start, with the setting's name. Names that have no effect (an old setting, a
misspelled one) are said once at the start of the web server and of each worker, and by `findme doctor`.
"""

_FILES = f"""
## Secrets in files

{", ".join(f"`{name.upper()}`" for name in SECRETS)} can be read from a file:
add `_FILE` to the name and give the path, such as `SECRET_KEY_FILE=/run/secrets/secret_key`. Blanks and line ends
around the content are dropped. A file that can't be read or is empty is refused, and so is a secret that is set in both
ways.
"""

_OLD = """
## Settings of the system before this one

| name | now |
|---|---|
| `WORKERS`, `TIMEOUT`, `GRACEFUL_TIMEOUT`, `DB_POOL_SIZE`, `DB_MAX_OVERFLOW` | as before |
| `MATCHING_THREAD_POOL_SIZE` | becomes `MATCHING_PROCESSES`; for the local engine at most one a core and a GiB |
| `BCRYPT_ROUNDS` | ignored with a notice: passwords are hashed with Argon2id at its recommended cost |
| `WORKER_CLASS` | ignored with a notice unless it is ours, `webapp.web_worker.worker.Worker` |
"""


def render() -> str:
    """Return the page's content."""
    return _HEAD + "".join(_groups()) + _FILES + _OLD


def _groups() -> Iterator[str]:
    """Yield a heading and a table for each group, in the order of the code."""
    for match in _GROUP.finditer(getsource(Settings)):
        if match["title"]:
            yield f"\n## {match['title']}\n\n| name | default | effect |\n|---|---|---|\n"
        elif match["name"] in Settings.model_fields:
            yield _row(match["name"], Settings.model_fields[match["name"]])


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name.upper()}` | {_default(field.default)} | {field.description}{_values(field)} |\n"


def _default(value: Any) -> str:
    """Return a default as `.env` would have it."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Path):
        value = value.relative_to(ROOT)
    if isinstance(value, bool):
        value = int(value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value != "" else "(empty)"


def _values(field: FieldInfo) -> str:
    """Return the values that a setting can have, where these are words."""
    words = getattr(field.annotation, "__args__", ()) if "Literal" in str(field.annotation) else ()
    return f". One of: {', '.join(f'`{word}`' for word in words)}" if words else ""


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
