"""What operators should know of the settings they gave: names that are ignored, replaced, or probably misspelled."""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from dotenv import dotenv_values

from webapp.settings import old_names, secret_files
from webapp.settings.fields import Settings

_CLOSE = 0.85
"""Similarity (difflib's ratio, 0 to 1) from which a name counts as a misspelled one of ours."""

_OLD = frozenset({old_names.POOL, "bcrypt_rounds", "worker_class"})


def notices(settings: Settings) -> list[str]:
    """Return one sentence for each name in the environment or in `.env` that has no effect, or another one."""
    named = _named()
    _, pool = old_names.matching_processes(named, settings.face_engine)
    return [*filter(None, (pool, *old_names.ignored(named))), *_misspelled(named)]


def _named() -> dict[str, str]:
    """Every variable that is set, by its name in lower case."""
    files: Mapping[str, str | None] = dotenv_values(".env")
    return {name.lower(): value for layer in (files, os.environ) for name, value in layer.items() if value}


def _misspelled(named: Mapping[str, str]) -> Iterator[str]:
    known = {*Settings.model_fields, *(f"{name}_file" for name in secret_files.SECRETS)}
    for name in sorted(set(named) - known - _OLD):
        if close := get_close_matches(name, known - set(named), 1, _CLOSE):
            yield f"{name.upper()} is set, and FindMe has no such setting. Is {close[0].upper()} meant?"
