"""Which device asks: a cookie with a random name, set when somebody joins or signs in. Only its keyed hash is kept.

It proves nobody's identity. It tells apart the many people behind one network address, and lets whoever comes back on
the device that they joined with keep what they handed in there.
"""

import re
import secrets

from flask import Flask, Response, current_app, g, request

from webapp.web.access.hidden import hidden

COOKIE = "device"
DAYS = 180
_NAME = re.compile(r"[A-Za-z0-9_-]{22}")
"""128 random bits, as `secrets.token_urlsafe(16)` writes them."""


def init_app(app: Flask) -> None:
    """Send the cookie with the response of a request that needed a device."""
    app.after_request(_remember)


def known() -> str | None:
    """The hash of the device that sent this request; None where it sent no cookie, as an API client does."""
    name = g.get("device_name") or request.cookies.get(COOKIE, "")
    return hashed(name) if _NAME.fullmatch(name) else None


def ensure() -> str:
    """The hash of the device that sent this request; one without a cookie gets one with the response."""
    present = known()
    if present is not None:
        return present
    g.device_name = secrets.token_urlsafe(16)
    return hashed(g.device_name)


def hashed(name: str) -> str:
    """What is kept of a device: 24 hexadecimal digits."""
    return hidden("device", name)


def _remember(response: Response) -> Response:
    name = g.get("device_name")
    if name:
        response.set_cookie(
            COOKIE,
            name,
            max_age=DAYS * 24 * 3600,
            httponly=True,
            samesite="Lax",
            secure=bool(current_app.config.get("SESSION_COOKIE_SECURE")),
        )
    return response
