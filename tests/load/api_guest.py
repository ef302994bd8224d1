"""Scenario A, the old system's: a guest through the JSON API, who then asks for their photos and the expiry.

How often is not told of the old one but for "10 to 50 ms". So there are two kinds: those who ask again at that pace
without end, which takes all that the machine has, and those who ask as an app does that somebody holds in their hand.
"""

import random
import time
from typing import Any

from locust import between, task

from tests.load.visitors import PASSWORD, Guest, event_code

PACE = 0.5
"""Seconds between two questions how the search goes."""


class ApiGuest(Guest):
    """Joins, hands in a selfie, and asks on, 10 to 50 ms after each answer (scenario A+)."""

    wait_time = between(0.010, 0.050)
    token = ""
    thumbnail = ""
    asked = 0.0

    def join(self) -> None:
        code = event_code()
        event = self.call("POST", "/check-event-code", json={"event_code": code})["event"]
        known = {"username": self.name, "email": self.email, "event_code": code}
        self.call("POST", "/check-user-availability", json=known)
        self.validate()
        user = {"username": self.name, "email": self.email, "password": PASSWORD}
        body = {"user_data": user, "event_code": code, "consent": True}
        self.token = self.call("POST", "/register-with-event-code", expect=(201,), json=body)["access_token"]
        self.token = self.call("POST", "/login", json={"username": self.name, "password": PASSWORD})["access_token"]
        self.upload(event["id"])
        for _ in range(3):
            self.my_photos()
        self.call("GET", "/me")
        self.call("GET", "/all-photos")

    @task
    def ask_for_photos(self) -> None:
        self.follow_search()
        self.my_photos()

    @task
    def open_photo(self) -> None:
        if self.thumbnail:
            self.follow_search()
            self.ask("GET", self.thumbnail, "GET /api/photo/ID thumbnail", headers=self.headers())
        else:
            self.ask_for_photos()

    @task
    def ask_for_expiry(self) -> None:
        self.follow_search()
        self.call("GET", "/user/event-expiration")

    def follow_search(self) -> None:
        """How it goes, until it is over."""
        search = self.search
        if search is None or search.over or time.monotonic() < self.asked + PACE:
            return
        self.asked = time.monotonic()
        state = self.call("GET", "/rematch-status")
        if state["status"] in ("rejected", "failed"):
            search.fails(f"{state['status']}: {state['reason']}")
        elif state["status"] == "done":
            search.is_done()
            if not state["matches"]:
                search.fails("the selfie finds no photo")
        search.check_patience()

    def my_photos(self) -> list[dict[str, Any]]:
        photos: list[dict[str, Any]] = self.call("GET", "/my-photos")
        if photos and self.search is not None:
            self.thumbnail = photos[0]["thumbnail_url"]
            self.search.saw_photo()
        return photos

    def validate(self) -> None:
        """The check before the sign-up; 202 says that it takes its time, which is no fault."""
        body, headers = self.multipart({})
        path = "/api/validate-selfie"
        name = f"POST {path}"
        with self.client.post(path, name=name, data=body, headers=headers, catch_response=True) as answer:
            if answer.status_code not in (200, 202) or answer.json()["valid"] is False:
                answer.failure(f"{answer.status_code}: {answer.text}")

    def upload(self, event_id: str) -> None:
        body, headers = self.multipart({"event_id": event_id})
        search = self.begin_search()
        self.call("POST", "/upload-selfie", data=body, headers=headers)
        search.was_answered()

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
        together = self.headers() | (headers or {})
        return self.ask(method, f"/api{path}", f"{method} /api{path}", headers=together, **options).json()


class AppGuest(ApiGuest):
    """The same, asking every half second until the photos are there, and then every one to three (scenario A)."""

    def wait_time(self) -> float:  # type: ignore[override]
        searching = self.search is not None and not self.search.over
        return PACE if searching else random.uniform(1.0, 3.0)
