"""What the watch tells whoever looks at its terminal: one line that changes, and lines that stay."""

import shutil
import sys
from collections import Counter
from typing import TextIO

_PLURALS = {"sidecar": "sidecars", "video": "videos", "system": "system files", "unfinished": "unfinished"}


def status(
    event: str,
    *,
    answers: Counter[str],
    under_way: int,
    to_come: int,
    aside: Counter[str],
    lonely: int,
    trouble: str,
) -> str:
    """How things stand, in one line. lonely: RAW files without a JPEG; they are among those that were set aside."""
    sent = answers["accepted"] + answers["duplicate"]
    parts = [f"{sent} sent" + (f" ({answers['duplicate']} were there already)" if answers["duplicate"] else "")]
    if answers["rejected"]:
        parts.append(f"{answers['rejected']} not taken")
    if under_way:
        parts.append(f"{under_way} on the way")
    if to_come:
        parts.append(f"{to_come} to come")
    if aside:
        kinds = ", ".join(
            f"{count} {kind if count == 1 else _PLURALS.get(kind, kind)}" for kind, count in sorted(aside.items())
        )
        parts.append(f"{aside.total()} set aside ({kinds})")
    if lonely:
        parts.append(f"{lonely} RAW without {'its JPEG' if lonely == 1 else 'their JPEGs'}")
    return f"{event}: {', '.join(parts)}." + (f" {trouble}" if trouble else "")


class Voice:
    """Writes to a terminal, where the status line is overwritten, or to a log, where it is added when it changes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._last = ""

    def status(self, text: str, *, final: bool = False) -> None:
        """The present state of things; `final` is the last word."""
        text = _printable(text)
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            short = text if len(text) <= width or final else text[: width - 1] + "…"
            self._stream.write(f"\r\x1b[K{short}" + ("\n" if final else ""))
        elif text != self._last:
            self._stream.write(text + "\n")
        self._stream.flush()
        self._last = text

    def line(self, text: str) -> None:
        """Something that stays to be read."""
        text = _printable(text)
        self._stream.write(f"\r\x1b[K{text}\n" if self._is_terminal else f"{text}\n")
        self._stream.flush()


def _printable(text: str) -> str:
    """Without what would move a terminal's cursor, or worse: names of files and events are anybody's."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
