"""A browser that sends files straight to the store."""

from dataclasses import dataclass, field
from typing import Any

import requests
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser
from webapp.db.extensions import db
from webapp.models import Upload, UploadWay
from webapp.services.core import deletion_outbox
from webapp.services.uploads import multipart


@dataclass
class Sender:
    """A photographer's browser that sends files straight to the store."""

    app: Flask
    world: World
    event_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.event_id = self.world.event()
        self.browser = Browser(self.app).sign_in("photographer@example.com", PASSWORD)
        self.csrf = {"X-CSRFToken": self.browser.token("/")}
        self.base = f"/studio/events/{self.event_id}/s3"

    def post(self, path: str = "", **body: Any) -> TestResponse:
        return self.browser.client.post(f"{self.base}{path}", json=body or None, headers=self.csrf)

    def begin(self, name: str, content: bytes) -> str:
        answer = self.post(filename=name, size=len(content))
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])  # type: ignore[index]

    def put(self, upload_id: str, number: int, part: bytes) -> None:
        url = self.browser.get(f"{self.base}/{upload_id}/parts/{number}").json["url"]  # type: ignore[index]
        assert url.startswith(self.app.extensions["blobs"].origin)
        # As the library does it: with a type of its own, which nobody signed.
        answer = requests.put(url, data=part, headers={"Content-Type": "image/jpeg"}, timeout=10)
        assert answer.status_code == 200, answer.text

    def finish(self, upload_id: str) -> TestResponse:
        return self.post(f"/{upload_id}/complete")

    def send(self, name: str, content: bytes) -> str:
        upload_id = self.begin(name, content)
        for number, start in enumerate(range(0, len(content), multipart.PART), 1):
            self.put(upload_id, number, content[start : start + multipart.PART])
        assert self.finish(upload_id).json == {"status": "checking", "detail": ""}
        return upload_id

    def outcomes(self, *ids: str) -> list[str]:
        told = self.browser.get(f"{self.base}?ids={','.join(ids)}").json
        return [told[upload_id]["status"] for upload_id in ids]  # type: ignore[index]

    def ledger(self) -> list[tuple[str, str, str | None]]:
        with self.app.app_context():
            rows = db.session.scalars(select(Upload).order_by(Upload.id)).all()
            assert {row.way for row in rows} <= {UploadWay.S3}
            return [(row.filename, row.status.value, row.reason) for row in rows]

    def stored(self) -> set[str]:
        """What lies in the bucket, after the jobs that remove things have run."""
        with self.app.app_context():
            for public_id in db.session.scalars(select(deletion_outbox.Removal.public_id)).all():
                deletion_outbox.carry_out(public_id)
        return set(self.app.extensions["blobs"].keys("events/"))

    def under_way(self) -> int:
        return len(list(self.app.extensions["blobs"].direct_uploads.under_way()))
