"""The addresses of the files that the build made, for tests that ask for them as browsers do."""

import json

from webapp.settings import ROOT


def address(name: str) -> str:
    """Where a file is served that templates call so, such as `guest.js`."""
    said = json.loads((ROOT / "static" / "built" / "manifest.json").read_text(encoding="utf-8"))
    return f"/static/{said['files'][name]}"
