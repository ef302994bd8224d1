"""What the rooms share: answers to forms, the pace of polls, and safe ways back."""

import random
from typing import Any

from flask import make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from htmx_flask import request

from webapp.errors import Unauthenticated
from webapp.models import User
from webapp.services.events import events, team
from webapp.web.access.sessions import signed_in
from webapp.web.requests.forms import PageForm
from webapp.web.requests.incoming import split_address

QUICK, BUSY, IDLE = 0.4, 1.3, 15.0
"""Seconds between two questions: while a selfie is judged, while work goes on, and otherwise."""


def me() -> User:
    """Who is signed in. The permission table let nobody else through; this is for the types."""
    user = signed_in()
    if user is None:
        raise Unauthenticated(code="sign_in_required")
    return user


def trigger(pace: float) -> str:
    """When a live region asks again: soon while work goes on, now and then otherwise, never all at the same moment.

    `wake` is what the page sends when its tab comes to the front again, or when it knows that something changed.
    """
    return f"every {round(pace * random.uniform(0.85, 1.25) * 1000)}ms, wake"


def refuse(form: PageForm, page: str, **values: Any) -> ResponseReturnValue:
    """A form that can't be taken: its error regions for htmx, the whole page with what was typed for everyone else."""
    if request.htmx:
        return render_template("shared/_form_errors.html", form=form), 422
    return render_template(page, form=form, **values), 422


def go(address: str) -> ResponseReturnValue:
    """On to another page, whether a browser or htmx asked."""
    if request.htmx:
        response = make_response("", 204)
        response.headers["HX-Redirect"] = address
        return response
    return redirect(address, 303)


def home_of(user: User) -> str:
    """Return the page to show after sign-in: the studio to people who run events, guests' photos to guests."""
    if team.may_enter_studio(user):
        return url_for("studio.index")
    cards = events.cards_of(user)
    return url_for("guest.photos", code=cards[0].event.code) if len(cards) == 1 else url_for("home.index")


def dead_link() -> ResponseReturnValue:
    """Answer a mailed link that opens nothing. Used, expired and unknown ones get the same answer."""
    return render_template("auth/dead_link.html"), 404


def safe_next(wanted: str | None, otherwise: str) -> str:
    """Where to go on to: a path of ours, never another host."""
    if not wanted:
        return otherwise
    parts = split_address(wanted)
    if parts.scheme or parts.netloc or not wanted.startswith("/") or wanted.startswith("//"):
        return otherwise
    # Browsers take a backslash for a slash, and drop control characters before they look.
    if "\\" in wanted or not wanted.isprintable():
        return otherwise
    return wanted
