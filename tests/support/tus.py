"""A client of the tus protocol, as a browser without a screen speaks it, and the files that it leaves on the way."""

import base64

from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, EventStatus, Upload
from webapp.queueing import unit_of_work
from webapp.services.core import blobs

TUS = {"Tus-Resumable": "1.0.0"}


BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}


class Tus:
    """A photographer's browser that sends files by tus."""

    def __init__(self, app: Flask, world: World) -> None:
        self.app, self.event_id = app, world.event()
        self.browser = Browser(app).sign_in("photographer@example.com", PASSWORD)
        self.csrf = {"X-CSRFToken": self.browser.token("/")}
        self.files = f"/studio/events/{self.event_id}/files"

    def create(self, name: str, length: int, body: bytes | None = None) -> TestResponse:
        words = f"filename {base64.b64encode(name.encode()).decode()}"
        headers = {**TUS, **self.csrf, "Upload-Length": str(length), "Upload-Metadata": words}
        if body is not None:
            headers["Content-Type"] = BYTES["Content-Type"]
        return self.browser.client.post(self.files, headers=headers, data=body)

    def patch(self, address: str, offset: int, body: bytes) -> TestResponse:
        headers = {**BYTES, **self.csrf, "Upload-Offset": str(offset)}
        return self.browser.client.patch(address, headers=headers, data=body)

    def head(self, address: str) -> TestResponse:
        return self.browser.client.head(address, headers=TUS)

    def send(self, name: str, content: bytes) -> TestResponse:
        address = self.create(name, len(content)).headers["Location"]
        return self.patch(address, 0, content)

    def ledger(self) -> list[tuple[str, str, str | None]]:
        with self.app.app_context():
            rows = db.session.scalars(select(Upload).order_by(Upload.id))
            return [(row.filename, row.status.value, row.reason) for row in rows]

    def close_event(self) -> None:
        with self.app.app_context(), unit_of_work():
            db.session.execute(update(Event).values(status=EventStatus.CLOSED))


def partial_files(app: Flask) -> list[str]:
    with app.app_context():
        return list(blobs.partials().keys(utcnow().timestamp() + 60))
