"""docs/settings.md, .env.example and the README name the settings that there are, with their defaults."""

import re

import pytest

from webapp.ops import settings_page
from webapp.settings import ROOT, Settings
from webapp.settings.secret_files import SECRETS

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
IN_EXAMPLE = dict(re.findall(r"^#([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
SHOWN = {"PUBLIC_URL"}
"""Settings whose line in .env.example shows a value instead of an empty default."""

INTERNAL = {"STARTED_AS_DEMO"}
ELSEWHERE = {
    "ARGS", "PROCESSES", "FACES_DIR", "FINDME_TOKEN", "TEST_DATABASES", "FUZZ_SEED", "FUZZ_ROUNDS", "LOAD_DATABASE",
    "UPGRADE", "PYTHON",
}  # fmt: skip
"""Names in the README that are for `make` and for tests."""


def test_the_page_is_the_code_s() -> None:
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.render(), (
        "run: python -m webapp.ops.settings_page"
    )


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_each_setting_says_what_it_does(name: str) -> None:
    assert Settings.model_fields[name].description
    assert settings_page.render().count(f"| `{name.upper()}` |") == 1


def test_the_example_has_every_setting_with_its_default() -> None:
    assert set(IN_EXAMPLE) == {name.upper() for name in Settings.model_fields} - INTERNAL
    for name, shown in IN_EXAMPLE.items():
        default = settings_page._default(Settings.model_fields[name.lower()].default)
        assert name in SHOWN or float_or_text(shown) == float_or_text(default), name


def float_or_text(value: str) -> float | str:
    text = value.strip("`").replace("(empty)", "")
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "docs/engines.md", "docs/architecture.md"])
def test_pages_name_settings_that_there_are(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", text))
    named |= set(re.findall(r"^([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    known = {name.upper() for name in Settings.model_fields} | {f"{name.upper()}_FILE" for name in SECRETS} | ELSEWHERE
    assert {name for name in named if name not in known and not name.startswith("AWS_")} - {"URL", "TOKEN"} == set()
