"""What the README shows and names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()


def test_its_pictures_and_links_exist() -> None:
    paths = re.findall(r'(?:src="|\]\()([^")#:]+)[")]', README)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"`make ([a-z-]+)`", README)) | set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert {"run", "test", "test-all", "mutants"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    assert "<!--" not in README
