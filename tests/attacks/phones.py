"""Devices from which people use the API: each sends its own cookie, all of them from the venue's address."""

import io
import secrets
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD
from webapp.web.access.devices import COOKIE

VENUE = "198.51.100.7"


@dataclass
class Phone:
    """A browser's storage: it sends the cookie that names the device, whoever is signed in."""

    app: Flask
    address: str = VENUE
    name: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def send(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> TestResponse:
        client = self.app.test_client()
        if self.name:
            client.set_cookie(COOKIE, self.name)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        place = {"REMOTE_ADDR": self.address}
        return client.open(f"/api{path}", method=method, headers=headers, environ_overrides=place, **kwargs)

    def join(self, code: str, name: str, picture: bytes, **form: str) -> str:
        """A new account with a selfie; returns its token."""
        data = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "event_code": code}
        sent = data | {"consent": "true", "file": (io.BytesIO(picture), "me.jpg")} | form
        answer = self.send("POST", "/register-invite-with-selfie", data=sent)
        assert answer.status_code == 201, answer.text
        return str(answer.json["access_token"])  # type: ignore[index]

    def selfie(self, token: str, picture: bytes, **form: str) -> TestResponse:
        return self.send("POST", "/upload-selfie", token, data={"file": (io.BytesIO(picture), "me.jpg")} | form)
