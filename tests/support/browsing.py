"""A browser without a screen: keeps cookies, fills in the forms that it is shown, and can send them as htmx does."""

import html
import re
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

HTMX = {"HX-Request": "true"}


@dataclass
class Browser:
    """One person's browser. Every form goes with the token of the page that it was seen on: CSRF protection is on."""

    app: Flask
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.get(path, **kwargs)

    def token(self, path: str) -> str:
        """The CSRF token in a page."""
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(path).text)
        assert found, f"no token on {path}"
        return found[1]

    def submit(
        self, path: str, data: dict[str, Any] | None = None, *, page: str | None = None, htmx: bool = False
    ) -> TestResponse:
        """Send a form that stands on `page` (by default on the page that it is sent to)."""
        filled = {"csrf_token": self.token(page or path), **(data or {})}
        return self.client.post(path, data=filled, headers=HTMX if htmx else {})

    def sign_in(self, login: str, password: str) -> "Browser":
        answer = self.submit("/sign-in", {"login": login, "password": password})
        assert answer.status_code == 303, text(answer)
        return self


def text(answer: TestResponse) -> str:
    """A page as people read it, with its marks but without HTML's escapes."""
    return html.unescape(answer.text)


def value_of(answer: TestResponse, name: str) -> str | None:
    """What stands in a field of the page."""
    tag = re.search(rf'<input[^>]*\bname="{name}"[^>]*>', answer.text)
    found = re.search(r'\bvalue="([^"]*)"', tag[0]) if tag else None
    return html.unescape(found[1]) if found else None


def error_at(answer: TestResponse, name: str) -> str:
    """The words in the error region of a field, or of the whole form ("form")."""
    kind = "div" if name == "form" else "span"
    found = re.search(rf'<{kind}[^>]*\bid="error-{name}"[^>]*>(.*?)</{kind}>\s', answer.text, re.DOTALL)
    assert found, f"no error region for {name}"
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[1])).split())
