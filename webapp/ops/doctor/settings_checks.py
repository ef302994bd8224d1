"""Settings and secrets."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from webapp.demo import facts
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn
from webapp.settings.notices import notices
from webapp.settings.secret_files import SECRETS
from webapp.settings.serving import refusals

_HERE = ("localhost", "127.0.0.1", "::1")
_OTHERS = 0o077


def check_user(context: Context) -> Iterator[Finding]:
    """Find whether this runs as the user that DATA_DIR belongs to; as another one it would leave files of its own."""
    folder = context.settings.data_dir
    try:
        owner = folder.stat().st_uid
    except OSError:
        return  # other checks say what is wrong with it
    if owner != os.geteuid():
        yield fail(
            "user",
            f"{folder} belongs to user {owner}, and this runs as user {os.geteuid()}. Nothing was looked at, since "
            "files that are made on the way would be closed to FindMe.",
            "Ask as the user that FindMe runs as (runuser -u USER --, or findme-run of deploy/systemd).",
        )


def check_settings(context: Context) -> Iterator[Finding]:
    """Find what is refused at the start, what has no effect, and a demo that others can reach."""
    settings = context.settings
    refused, without_effect = refusals(settings), notices(settings)
    for sentence in refused:
        yield fail("settings", sentence, "docs/settings.md lists all settings.")
    for sentence in without_effect:
        yield warn("settings", sentence, "Remove it, or use the name that counts: docs/settings.md.")
    is_public = urlsplit(settings.public_url).hostname not in (None, *_HERE)
    exposed = settings.environment != "production" and is_public
    if exposed:
        yield warn(
            "settings",
            f"ENVIRONMENT={settings.environment}, and PUBLIC_URL is no address of this machine.",
            "For guests set ENVIRONMENT=production, which has no helpers for developers.",
        )
    if not (refused or without_effect or exposed):
        yield ok("settings", f"{settings.environment}, {settings.face_engine} engine, {settings.blob_store} store")


def check_secrets(context: Context) -> Iterator[Finding]:
    """Find files with secrets that other users of this machine can read, and accounts whose passwords are printed."""
    named = (os.environ.get(f"{name.upper()}_FILE") for name in SECRETS)
    files = [Path(".env"), context.settings.data_dir / "findme.env", *(Path(name) for name in named if name)]
    open_files = [path for path in files if path.is_file() and stat.S_IMODE(path.stat().st_mode) & _OTHERS]
    # Docker hands over secrets in a container that has one user, with the rights of everybody.
    exposed = [path for path in open_files if path.parent != Path("/run/secrets")]
    for path in exposed:
        yield warn("secrets", f"{path} can be read by other users of this machine.", f"chmod 600 {path}")
    if context.settings.environment == "production" and facts.read(context.settings.data_dir):
        yield warn(
            "secrets",
            "DATA_DIR holds a demo, whose passwords were printed. Its accounts can't sign in while this is no demo.",
            "Give real guests a DATA_DIR and a database of their own.",
        )
    if not exposed:
        yield ok("secrets", "no file with secrets is open to other users of this machine")
