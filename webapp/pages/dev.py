"""The messages that a demo would have sent, for the person at the machine that it runs on.

They carry links that sign people in. So the page is registered only where `make run` started the process as a demo, and
answers only a browser on the same machine that was sent there by nobody else.
"""

import ipaddress
import re

from flask import Blueprint, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import Mail
from webapp.settings import Settings
from webapp.web.access.permissions import Who

blueprint = Blueprint("dev", __name__, url_prefix="/dev")

WHO = {"mail": Who.ANYONE, "html": Who.ANYONE}
_OWN_HOSTS = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE | re.ASCII)
_FORWARDED = ("HTTP_X_FORWARDED", "HTTP_X_ORIGINAL", "HTTP_X_ENVOY", "HTTP_CF_", "HTTP_CDN_", "HTTP_TAILSCALE_")
"""How the names of headers begin that a proxy or a tunnel adds."""
_FORWARDING = {
    "HTTP_FORWARDED",
    "HTTP_FORWARDED_FOR",
    "HTTP_VIA",
    "HTTP_CLIENT_IP",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_FASTLY_CLIENT_IP",
    "HTTP_FLY_CLIENT_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_CLUSTER_CLIENT_IP",
    "HTTP_X_HOST",
    "HTTP_X_PROXYUSER_IP",
    "HTTP_X_REAL_IP",
    "HTTP_X_REMOTE_ADDR",
    "HTTP_X_REMOTE_IP",
    "HTTP_X_SCHEME",
}


@blueprint.get("/mail")
def mail() -> ResponseReturnValue:
    """The latest messages.

    Raises:
        NotFound: the request did not come from this machine itself.
    """
    if not _from_own_machine():
        raise NotFound(code="not_found")
    mails = db.session.scalars(select(Mail).order_by(Mail.id.desc()).limit(50)).all()
    return render_template("dev/mail.html", mails=mails)


@blueprint.get("/mail/<mail_id>/html")
def html(mail_id: str) -> ResponseReturnValue:
    """The HTML part of one message, as a mail program shows it: nothing in it runs.

    Raises:
        NotFound: there is no such message, or the request did not come from this machine itself.
    """
    if not _from_own_machine():
        raise NotFound(code="not_found")
    content = db.session.scalar(select(Mail.rendered_html).where(Mail.public_id == mail_id))
    if content is None:
        raise NotFound(code="not_found")
    # Its links lead out of the frame.
    response = Response(content.replace("<head>", '<head><base target="_top">', 1), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _policy()
    return response


def _policy() -> str:
    """Return a policy that lets a message show its own styles and our covers, on the page of messages alone.

    A cover's address begins with PUBLIC_URL or localhost, where the page may be open under another name.
    """
    settings: Settings = current_app.extensions["settings"]
    pictures = " ".join(filter(None, ("'self'", settings.public_url, f"http://localhost:{settings.port}")))
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; base-uri 'self'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-popups allow-top-navigation-by-user-activation"
    )


def _from_own_machine() -> bool:
    """Return True for a request of a browser on this machine, for an address that means this machine.

    A proxy or tunnel that ends on this machine connects from it, too; it is known by the headers that it adds. A site
    whose name was pointed at 127.0.0.1 (DNS rebinding) is known by that name in Host.
    """
    # Where proxies are trusted, ProxyFix replaces address and host by what X-Forwarded-* claims; the headers stay, so a
    # request with any of them is refused below.
    if not _is_loopback(request.environ.get("REMOTE_ADDR") or ""):
        return False
    if not _OWN_HOSTS.fullmatch(request.environ.get("HTTP_HOST") or ""):
        return False
    return not any(name in _FORWARDING or name.startswith(_FORWARDED) for name in request.environ)


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A server that listens on :: sees clients of IPv4 in this form.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
