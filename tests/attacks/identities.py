"""What guests with one address do: join, ask for links, and look at their account."""

import io
import re
from typing import Any

from flask import Flask

from tests.support.actors import PASSWORD, Api, selfie
from tests.support.browsing import Browser, text
from webapp.db.extensions import db
from webapp.services.core.consents import CONSENT_VERSION

ADA = "ada@example.com"


OTHER_EVENT = "SECOND234"


def change(app: Flask, statement: Any) -> None:
    with app.app_context():
        db.session.execute(statement)
        db.session.commit()


def join(app: Flask, code: str, name: str, email: str = ADA, *, face: str = "grace", password: str = "") -> Browser:
    """Join through the page, in a browser of its own."""
    browser = Browser(app)
    form = {"name": name, "email": email, "password": password, "consent": "y", "consent_version": CONSENT_VERSION}
    answer = browser.submit(f"/e/{code}", form | {"file": (io.BytesIO(selfie(face)), "me.jpg")})
    assert answer.status_code == 303, text(answer)
    return browser


def me(browser: Browser) -> dict[str, Any]:
    answer = browser.get("/api/me")
    return answer.json if answer.status_code == 200 else {}


def offered(browser: Browser) -> list[str]:
    """The ids of the accounts that the page offers."""
    return re.findall(r'action="/account/others/([\w-]+)"', browser.get("/account/others").text)


def one(app: Flask, statement: Any) -> Any:
    with app.app_context():
        return db.session.scalar(statement)


def register(api: Api, code: str, name: str, email: str = ADA, password: str = PASSWORD) -> Api:
    """Join by the API; a client without cookies, as attackers are."""
    user = {"username": name, "email": email, "password": password}
    body = {"user_data": user, "event_code": code, "consent": True}
    answer = api.post("/register-with-event-code", json=body)
    assert answer.status_code == 201, answer.text
    return Api(api.app, answer.json["access_token"])


def shown(browser: Browser, code: str) -> int:
    """How many photos a guest sees."""
    answer = browser.get(f"/e/{code}/photos")
    return answer.text.count('<li id="photo-') if answer.status_code == 200 else -1


def ask_for_link(browser: Browser, email: str = ADA) -> None:
    assert browser.submit("/sign-in/link", {"email": email}, page="/sign-in").status_code == 303
