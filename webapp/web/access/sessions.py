"""Signing browsers in and out with flask-login, and knowing who asks: a cookie's session or a bearer token."""

from typing import cast

from flask import Flask, Request, Response, after_this_request, current_app, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import current_user, login_user, logout_user

from webapp.db.extensions import login_manager
from webapp.models import User
from webapp.services.accounts import accounts
from webapp.services.uploads import upload_tokens

INVITED = "invited"
"""The join tokens of events whose code this browser has given; see `webapp.web.access.event_codes`."""

_ACCOUNTS = "accounts"
"""Public ids of the accounts that this browser has signed in to."""

_MOST_ACCOUNTS = 5
_KEPT = ("language", INVITED, _ACCOUNTS)
"""What stays when a session rotates."""


class _CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions, whose cookie never goes out with a response that a shared cache may keep for others.

    Flask renews the cookie with each response, of style sheets and scripts too, which are cached for a year.

    Nor with the answer to a form of another site: browsers send that without cookies (SameSite), but would keep the new
    one in place of theirs, and a guest without an address would have lost the only way to their account.
    """

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        kept_for_all = not (response.cache_control.private or response.cache_control.no_store)
        if _may_be_foreign():
            return
        if session.modified or not kept_for_all:
            super().save_session(app, session, response)
            _count_from_now(app, response)


def _count_from_now(app: Flask, response: Response) -> None:
    """Say for how many seconds the session's cookie is kept, beside the day on which it ends.

    On a phone whose clock is ahead that day may have passed, and the cookie would be thrown away at once.
    """
    name = f"{app.config['SESSION_COOKIE_NAME']}="
    cookies = response.headers.getlist("Set-Cookie")
    seconds = int(app.permanent_session_lifetime.total_seconds())
    response.headers.setlist(
        "Set-Cookie",
        [
            cookie.replace("; Expires=", f"; Max-Age={seconds}; Expires=", 1)
            if cookie.startswith(name) and "Max-Age=" not in cookie
            else cookie
            for cookie in cookies
        ],
    )


def _may_be_foreign() -> bool:
    """Return True for a write without our cookie whose browser doesn't say that the form was ours."""
    is_write = request.method not in ("GET", "HEAD", "OPTIONS")
    has_cookie = current_app.config["SESSION_COOKIE_NAME"] in request.cookies
    return is_write and not has_cookie and request.headers.get("Sec-Fetch-Site") != "same-origin"


def init_app(app: Flask) -> None:
    """Bind flask-login, and the session's cookie."""
    app.session_interface = _CookieSessions()
    login_manager.init_app(app)
    login_manager.session_protection = None


@login_manager.user_loader
def _by_cookie(token: str) -> User | None:
    # Whoever sends a bearer token means its owner, and is let off the CSRF check: no cookie may decide then.
    return None if by_bearer() else _signed_in(token, "browser")


@login_manager.request_loader
def _by_bearer(incoming: Request) -> User | None:
    token = bearer_token(incoming)
    return _signed_in(token, "api") if token else None


def bearer_token(incoming: Request) -> str | None:
    """The token of an Authorization header."""
    authorization = incoming.authorization
    return authorization.token if authorization is not None and authorization.type == "bearer" else None


def signed_in() -> User | None:
    """Who is signed in."""
    if not current_user.is_authenticated:
        return None
    return cast("User", current_user._get_current_object())  # noqa: SLF001 - SQLAlchemy knows only what is behind it


def by_bearer() -> bool:
    """Whether this request came with a bearer token, so that no other site can have made a browser send it."""
    return bearer_token(request) is not None


def by_upload_token() -> bool:
    """Whether this request came with a token that may only upload; whether the token is valid, is asked elsewhere."""
    return upload_tokens.is_one(bearer_token(request))


def sign_in(user: User, *, proof: str | None = None, token: str | None = None, resumes: bool = False) -> None:
    """Sign this browser in with a new session; call it inside a unit of work. `proof`, `token` and `resumes` as for
    `accounts.open_session`.

    Raises:
        Unauthenticated: as `accounts.open_session`; the browser stays as it is.
    """
    opened = accounts.open_session(
        user, "browser", request.user_agent.string, proof=proof, token=token, resumes=resumes
    )
    before = session.get("_user_id")
    if before and before != opened:
        accounts.close_session(before)
    kept = {key: session[key] for key in _KEPT if key in session}
    session.clear()
    session.update(kept)
    session.permanent = True
    session[_ACCOUNTS] = [user.public_id, *(signed_in_before() - {user.public_id})][:_MOST_ACCOUNTS]
    user.signed_in_by(opened)
    login_user(user)


def sign_out() -> None:
    """Sign this browser out, and have it clear its cache; call it inside a unit of work."""
    token = session.get("_user_id")
    if token:
        accounts.close_session(token)
    kept = {key: session[key] for key in _KEPT if key in session}
    logout_user()
    session.clear()
    session.update(kept)
    session.permanent = True
    after_this_request(_clear_cache)


def _clear_cache(response: Response) -> Response:
    """Have the browser delete the pictures that it cached: others may use it next.

    Browsers do so over https and on localhost. Cookies and storage stay: they hold the language, the accounts that may
    join again, and what became of an upload that is not over.
    """
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def signed_in_before() -> set[str]:
    """Return the public ids of the accounts that this browser has signed in to. The session's signature proves it."""
    return set(session.get(_ACCOUNTS, ()))


def _signed_in(token: str, kind: str) -> User | None:
    user = accounts.user_of_token(token, kind)
    if user is not None:
        user.signed_in_by(token)
    return user
