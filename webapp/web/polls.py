"""Polls of live regions: those to whom nothing happened are answered before anybody asks the database.

This comes before the permission table, and may: a page's key is only kept once its poll has passed the table, it is
bound to the session's token in the signed cookie, and it falls when the session, the membership or the role does. What
an answer without contents tells is that nothing has changed, to a browser that shows the state already.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from flask import Flask, g, session
from flask.typing import ResponseReturnValue
from htmx_flask import request

from webapp.services.erasure import traces  # noqa: F401 - it listens from its import on
from webapp.services.live import tracking, versions  # noqa: F401 - tracking listens from its import on
from webapp.web.access.sessions import by_bearer

POLLS = frozenset({"guest.live", "shots.live", "studio.live"})


def init_app(app: Flask) -> None:
    """Look before the permission table does."""
    app.before_request(_answer_unchanged)


def answer(stamp: str, render: Callable[[], str]) -> ResponseReturnValue:
    """What a poll gets from the database: the region, or an empty 204 where nothing changed, which htmx ignores."""
    seen: versions.Look | None = g.get("live_look")
    if seen is not None:
        versions.keep(seen, stamp)
    return ("", 204) if request.args.get("v") == stamp else render()


def _answer_unchanged() -> ResponseReturnValue | None:
    token = session.get("_user_id")
    if request.endpoint not in POLLS or not request.htmx or not token or by_bearer():
        return None
    others = sorted((name, value) for name, value in request.args.items(multi=True) if name != "v")
    g.live_look = versions.look(token, f"{request.path}?{urlencode(others)}", request.args.get("v", ""))
    return ("", 204) if g.live_look is not None and g.live_look.is_current else None
