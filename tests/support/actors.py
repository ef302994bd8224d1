"""Who acts in tests: clients of the JSON API, and a world that is made through the services."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.support import faces
from webapp.db.extensions import db
from webapp.models import Event, Photo, User, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.events import events
from webapp.services.uploads import intake

PASSWORD = "correct horse battery"


@cache
def password_hash() -> str:
    """The hash of PASSWORD, which is slow to make on purpose; signing in still verifies it."""
    return accounts.hash_password(PASSWORD)


@dataclass
class Api:
    """Calls of one client; signs its requests once it has a token."""

    app: Flask
    token: str | None = None

    def call(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.app.test_client().open(f"/api{path}", method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("POST", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("DELETE", path, **kwargs)

    def login(self, email: str, password: str = PASSWORD) -> "Api":
        answer = self.post("/login", json={"username": email, "password": password})
        assert answer.status_code == 200, answer.text
        return Api(self.app, answer.json["access_token"])  # type: ignore[index]

    def register(self, code: str, name: str = "ada", *, consent: bool = True) -> "Api":
        """A new guest of an event, and a client that is signed in as them."""
        answer = self.post(
            "/register-with-event-code",
            json={
                "user_data": {"username": name, "email": f"{name}@example.com", "password": PASSWORD},
                "event_code": code,
                "consent": consent,
            },
        )
        assert answer.status_code == 201, answer.text
        return Api(self.app, answer.json["access_token"])  # type: ignore[index]

    def upload_selfie(self, content: bytes, **form: Any) -> TestResponse:
        return self.post("/upload-selfie", data={"file": (io.BytesIO(content), "me.jpg"), **form})

    def upload_photos(self, event_id: str, *files: tuple[str, bytes]) -> TestResponse:
        streams = [(io.BytesIO(content), name) for name, content in files]
        return self.post(f"/photographer/events/{event_id}/upload-photos", data={"files": streams})

    def photo_ids(self) -> list[str]:
        return [row["id"] for row in self.get("/my-photos").json]  # type: ignore[union-attr]


@dataclass
class World:
    """A photographer with an event, and whatever a test adds to it."""

    app: Flask
    work: Callable[..., int]
    code: str = "PARTY234"

    def person(self, email: str, role: UserRole = UserRole.GUEST) -> str:
        """An account with a proven address and PASSWORD; returns the address."""
        with self.app.app_context(), unit_of_work():
            if accounts.verified_user(email) is None:
                accounts.create_user(
                    email=email,
                    name=email.partition("@")[0],
                    password_hash=password_hash(),
                    role=role,
                    verified=True,
                )
        return email

    def event(self, code: str | None = None, owner: str = "photographer@example.com") -> str:
        """An event; returns its public id."""
        self.person(owner, UserRole.PHOTOGRAPHER)
        with self.app.app_context(), unit_of_work():
            user = db.session.scalars(select(User).where(User.email == owner)).one()
            return events.create_event(user, name="Party", date=date(2026, 6, 20), code=code or self.code).public_id

    def add_photos(self, event_id: str, *photos: tuple[str, bytes]) -> list[str | None]:
        """Hand photos in; returns their public ids. They are not worked on yet."""
        with self.app.app_context():
            event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
            owner = event.memberships[0].user
            return [intake.receive_photo(event, owner, name, io.BytesIO(data)).photo_id for name, data in photos]

    def party(self, photos: int = 6) -> str:
        """An event with some of the demo's photos, all worked on; returns its public id."""
        event_id = self.event()
        self.add_photos(event_id, *demo_photos(photos))
        self.work()
        return event_id

    def statuses(self) -> dict[str, str]:
        """Status of each photo by its file name."""
        with self.app.app_context():
            return {photo.filename: photo.status.value for photo in db.session.scalars(select(Photo))}


def demo_photos(count: int) -> list[tuple[str, bytes]]:
    """The first photos of the demo event."""
    return [(name, content) for name, content, _ in faces.demo_set().photos[:count]]


def photos_with(person: str, count: int = 99) -> list[tuple[str, bytes]]:
    """Demo photos that show this person."""
    return [(name, data) for name, data, people in faces.demo_set().photos if person in people][:count]


def photos_without(person: str, count: int = 99) -> list[tuple[str, bytes]]:
    """Demo photos that don't."""
    return [(name, data) for name, data, people in faces.demo_set().photos if person not in people][:count]


def selfie(person: str) -> bytes:
    """The demo's selfie of `grace` or `eileen`."""
    return faces.demo_set().selfies[person]
