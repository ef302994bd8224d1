"""`make dev`: what is changed in a script, a style sheet or a template is there at the next page."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.checkouts import checkout
from tests.support.product import running

pytestmark = pytest.mark.slow


def style_of(url: str) -> tuple[str, str]:
    """The name and the content of the first page's style sheet."""
    found = re.search(r'href="(/static/guest-[^"]+\.css)"', requests.get(url, timeout=20).text)
    assert found
    answer = requests.get(url + found[1], timeout=20)
    assert answer.ok
    return found[1], answer.text


def changed(url: str, wanted: Callable[[str], bool], seconds: float = 30) -> str:
    """Wait until the style sheet is as wanted; its name."""
    deadline = time.monotonic() + seconds
    while True:
        name, style = style_of(url)
        if wanted(style):
            return name
        assert time.monotonic() < deadline, "nothing was built"
        time.sleep(0.3)


def test_what_is_changed_is_built_again(tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout", "version-one")
    with running(tmp_path / "data", root=root, dev=True, MATCHING_PROCESSES="1") as product:
        before, style = style_of(product.url)
        assert "version-one" in style and "dialog" in style
        base = root / "static" / "css" / "parts" / "base.css"
        base.write_text(base.read_text().replace('"version-one"', '"version-two"'))
        after = changed(product.url, lambda style: "version-two" in style)
        assert after != before
        # A page that is still open asks for the former.
        assert requests.get(product.url + before, timeout=20).ok
        # A fault in a style sheet ends nothing, and is mended by mending it.
        base.write_text('@import "./no-such-file.css";' + base.read_text())
        time.sleep(2)
        assert style_of(product.url)[0] == after
        base.write_text(base.read_text().replace('@import "./no-such-file.css";', ""))
        # A template that uses what none used before.
        assert "<blockquote" not in "".join(path.read_text() for path in (root / "templates").rglob("*.html"))
        assert "blockquote{" not in style_of(product.url)[1]
        page = root / "templates" / "home" / "page.html"
        page.write_text(page.read_text() + "{% block footer %}<blockquote>words</blockquote>{% endblock %}")
        changed(product.url, lambda style: "blockquote{" in style)
    log = (tmp_path / "data" / "logs" / "pages.log").read_text()
    assert "no-such-file.css" in log
