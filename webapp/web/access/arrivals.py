"""Tells the doctor how a request of its own arrived: through how many proxies, and from where as the app believes.

The doctor puts a token into Redis and sends it along in a header; only such a request is written down. That it is
proves, too, that PUBLIC_URL leads to this installation.
"""

import contextlib
import json

import redis
from flask import Flask, request

from webapp.queueing import connection

HEADER = "X-FindMe-Doctor"
KEEP_SECONDS = 60


def key(token: str) -> str:
    """Return where in Redis the arrival of a request is kept."""
    return f"findme:arrival:{token}"


def init_app(app: Flask) -> None:
    """Look for the header in every request."""
    app.before_request(_note)


def _note() -> None:
    token = request.headers.get(HEADER)
    if not token or not token.isalnum() or len(token) > 64:
        return
    arrived = {
        "address": request.remote_addr,
        "forwarded_for": [
            part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()
        ],
        "host": request.host,
    }
    with contextlib.suppress(redis.RedisError):
        connection().set(key(token), json.dumps(arrived), ex=KEEP_SECONDS, xx=True)
