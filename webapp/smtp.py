"""Hand mails to an SMTP server."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import structlog
from flask import current_app

from webapp.errors import Transient
from webapp.settings import Settings

log = structlog.get_logger()

TIMEOUT = 20


def deliver(message: EmailMessage) -> None:
    """Hand the message to the server of SMTP_URL (smtp://user:password@host:587; smtps:// is TLS from the start)."""
    settings: Settings = current_app.extensions["settings"]
    address = settings.smtp_url.get_secret_value()
    if not urlsplit(address).hostname:
        if settings.environment == "production":
            raise Transient(code="mail_not_set_up")
        return
    with session(address) as server:
        server.send_message(message)


@contextmanager
def session(address: str) -> Iterator[smtplib.SMTP]:
    """Yield a connection to an SMTP server, encrypted if it can be, and signed in if `address` has a user.

    address: smtp://user:password@host:587, or smtps://, which is TLS from the start.

    Raises:
        Transient: `mail_server_away`, or `mail_not_set_up` where a password would be sent in clear.
    """
    url = urlsplit(address)
    secure = url.scheme == "smtps"
    try:
        with _connect(url.hostname or "", url.port, secure=secure) as server:
            server.ehlo()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                secure = True
            if url.username and not secure:
                # Somebody in between may have taken the offer away: the password is not theirs to read.
                log.warning("mail.not_encrypted", host=url.hostname)
                raise Transient(code="mail_not_set_up")
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            yield server
    except (OSError, smtplib.SMTPException) as error:
        log.warning("mail.not_sent", error=type(error).__name__)
        raise Transient(code="mail_server_away") from error


def _connect(host: str, port: int | None, *, secure: bool) -> smtplib.SMTP:
    """A connection; left to itself smtplib would take any certificate."""
    if secure:
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT, context=ssl.create_default_context())
    return smtplib.SMTP(host, port or 587, timeout=TIMEOUT)
