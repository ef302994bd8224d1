"""How a browser is told the name of what it saves (RFC 6266)."""

import unicodedata
from urllib.parse import quote


def attachment(name: str) -> str:
    """A Content-Disposition in ASCII alone: the whole name for browsers, and the nearest letters for old programs."""
    name = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C")
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().translate(_UNSAFE)
    return f"attachment; filename=\"{plain or 'photo'}\"; filename*=UTF-8''{quote(name, safe='')}"


# Quotes and backslashes would end the name early; a per cent sign makes some browsers decode it.
_UNSAFE = str.maketrans(dict.fromkeys('"\\%;', "_"))
