"""The third-party files that the server itself reads, and their way from node_modules to static/vendor: icons, which
templates have inline, and the fonts of posters and watermarks. What browsers get is made by static/build.mjs.

This is the one list of them. It runs on the standard library alone, since `make install` calls it by path, before and
beside everything else; `python -m webapp.run.assets` does the same by hand.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "node_modules"
TARGET = ROOT / "static" / "vendor"

# From node_modules/…, as it is called in static/vendor/….
FILES = {
    "@fontsource-variable/figtree/files/figtree-latin-wght-normal.woff2": "fonts/figtree.woff2",
    # The poster's, which a PDF library reads; the last one has what the others lack, from Greek to Arabic.
    "@fontsource/instrument-serif/files/instrument-serif-latin-400-normal.woff": "fonts/poster-title.woff",
    "@fontsource/instrument-serif/files/instrument-serif-latin-ext-400-normal.woff": "fonts/poster-title-ext.woff",
    "@fontsource/figtree/files/figtree-latin-400-normal.woff": "fonts/poster-text.woff",
    "@fontsource/figtree/files/figtree-latin-ext-400-normal.woff": "fonts/poster-text-ext.woff",
    "@fontsource/figtree/files/figtree-latin-600-normal.woff": "fonts/poster-strong.woff",
    "@fontsource/figtree/files/figtree-latin-ext-600-normal.woff": "fonts/poster-strong-ext.woff",
    "dejavu-fonts-ttf/ttf/DejaVuSans.ttf": "fonts/poster-rest.ttf",
}

# lucide-static/icons/NAME.svg becomes static/vendor/icons/NAME.svg: only what pages use, of two thousand.
ICONS = (
    "aperture",
    "arrow-left",
    "arrow-right",
    "badge-check",
    "ban",
    "calendar",
    "calendar-clock",
    "camera",
    "check",
    "check-check",
    "chevron-left",
    "chevron-right",
    "circle-alert",
    "circle-check",
    "circle-help",
    "circle-x",
    "clock",
    "copy",
    "copy-check",
    "download",
    "eye",
    "eye-off",
    "file-text",
    "folder-up",
    "handshake",
    "heart",
    "history",
    "image",
    "image-off",
    "image-plus",
    "image-up",
    "images",
    "inbox",
    "info",
    "key-round",
    "languages",
    "layout-dashboard",
    "layout-grid",
    "link",
    "list-filter",
    "loader-circle",
    "lock",
    "lock-open",
    "log-in",
    "log-out",
    "mail",
    "map-pin",
    "menu",
    "palette",
    "pencil",
    "plus",
    "printer",
    "qr-code",
    "refresh-cw",
    "replace",
    "rotate-ccw",
    "rotate-cw",
    "scan-face",
    "search",
    "send",
    "settings",
    "share-2",
    "shield-check",
    "sparkles",
    "square-check-big",
    "stamp",
    "sun",
    "switch-camera",
    "thumbs-up",
    "trash",
    "trash-2",
    "triangle-alert",
    "upload",
    "upload-cloud",
    "user",
    "user-plus",
    "user-x",
    "users",
    "wifi-off",
    "x",
    "zap",
)


def wanted() -> dict[Path, Path]:
    """Every file to copy: source to target."""
    files = {SOURCE / source: TARGET / target for source, target in FILES.items()}
    icons = {SOURCE / "lucide-static" / "icons" / f"{name}.svg": TARGET / "icons" / f"{name}.svg" for name in ICONS}
    return files | icons


def copy() -> list[Path]:
    """Lay static/vendor anew, so that nothing stale is served; returns what was missing in node_modules."""
    files = wanted()
    missing = [source for source in files if not source.is_file()]
    if missing:
        return missing
    shutil.rmtree(TARGET, ignore_errors=True)
    for source, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return []


def main() -> int:
    """Copy and say what is missing, if anything."""
    missing = copy()
    for source in missing:
        print(f"{source.relative_to(ROOT)} is missing: run `make install`, or mend the list in webapp/run/assets.py.")  # noqa: T201 - a command's answer
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
