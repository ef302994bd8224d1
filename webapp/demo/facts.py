"""What a newcomer needs to know of the demo: kept in DATA_DIR/demo.json, and printed by `make run`.

Standard library only, since the supervisor loads no app.
"""

import json
import os
from pathlib import Path
from typing import Any

FILE = "demo.json"
ROLES = ("admin", "photographer", "guest")


def read(data_dir: Path) -> dict[str, Any] | None:
    """What the demo that was made last is about; None where there is none."""
    path = data_dir / FILE
    if not path.exists():
        return None
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def write(data_dir: Path, about: dict[str, Any]) -> None:
    """Write it whole or not at all, and for the owner's eyes only: it holds passwords."""
    path = data_dir / FILE
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(about, file, indent=1)
    draft.replace(path)


def describe(about: dict[str, Any], mails: str) -> str:
    """What `make run` prints for a newcomer; `mails` is the address of the page that shows them, if any."""
    lines = [
        "",
        "FindMe is ready.",
        "",
        f"  Be a guest       {about['url']}/e/{about['event_code']}",
        f"  Event code       {about['event_code']}",
        f"  Sample selfie    {about['selfie']}",
        "",
        f"  Mails it sends   {mails or 'not shown: /dev/mail answers on 127.0.0.1 only, where HOST does not listen'}",
        f"  Sign in at       {about['url']}/sign-in",
    ]
    lines += [
        f"  {role.capitalize():<16} {about[role]['email']}   password {about[role]['password']}" for role in ROLES
    ]
    return "\n".join([*lines, "", "  Ctrl-C stops everything.", ""])


def warn_of_network(host: str, port: int, *, demo: bool) -> str:
    """What `make run` says where it listens to other machines."""
    lines = [
        f"HOST={host} lets other machines in: whoever is in the same network can open port {port}, over plain",
        "HTTP that others there can read. Browsers open a camera on https:// pages and on localhost only, so",
        "phones can't use theirs. QR codes and mails lead to PUBLIC_URL.",
    ]
    if demo:
        lines += [
            "This is a demo: its accounts, an admin among them, have generated passwords, which are printed here",
            "and kept in demo.json. /dev/mail answers browsers on this machine only. Real guests' pictures don't",
            "belong here.",
        ]
    lines += [
        "For real guests: ENVIRONMENT=production, DEMO=0, SECRET_KEY, an https:// PUBLIC_URL, a proxy in front",
        "that ends TLS, and another DATA_DIR than the demo's (README, Running it).",
    ]
    return "\n".join(lines)


def warn_of_leftovers(about: dict[str, Any]) -> str:
    """What `make run` says where a demo was made before and none is wanted now."""
    emails = ", ".join(about[role]["email"] for role in ROLES)
    return (
        f"A demo was made in this DATA_DIR before. Its accounts ({emails}) can't sign in now.\n"
        f"Its event is still there; `flask --app wsgi findme erase-event {about['event_code']}` erases it."
    )
