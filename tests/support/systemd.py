"""Reading systemd's unit files, without systemd."""

import shlex
from collections import defaultdict
from pathlib import Path

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"

Section = dict[str, list[str]]


def read_unit(path: Path) -> dict[str, Section]:
    """Return a unit's sections: each key with all its values in the order of the file.

    Raises:
        ValueError: a line is no comment, section or assignment.
    """
    sections: dict[str, Section] = defaultdict(lambda: defaultdict(list))
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            continue
        key, separator, value = line.partition("=")
        if not separator or not name or key != key.strip():
            raise ValueError(f"{path.name}: {line}")
        sections[name][key].append(value)
    return {name: dict(section) for name, section in sections.items()}


def only(section: Section, key: str) -> str:
    """Return the value of a key that has exactly one."""
    (value,) = section[key]
    return value


def environment(section: Section) -> dict[str, str]:
    """Return what the Environment= lines set."""
    words = [word for line in section.get("Environment", []) for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)
