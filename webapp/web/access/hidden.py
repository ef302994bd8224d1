"""Keyed hashes of what must not be written anywhere itself: network addresses, devices, logins."""

import hashlib
import hmac

from flask import current_app


def hidden(kind: str, value: str) -> str:
    """24 hexadecimal digits for a value; the same value of another kind has others. The key is SECRET_KEY."""
    secret = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.new(secret, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:24]
