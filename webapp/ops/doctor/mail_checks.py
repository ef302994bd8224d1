"""Mail: does the server take our sender and password. Nothing is sent."""

import time
from collections.abc import Iterator
from email.utils import parseaddr
from urllib.parse import urlsplit

from webapp import smtp
from webapp.errors import FindMeError
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn

_NOBODY_S = ("localhost", "localhost.localdomain", "example.com", "")


def check_mail(context: Context) -> Iterator[Finding]:
    """Connect, encrypt and sign in as for a mail, and look at the sender."""
    settings = context.settings
    address = settings.smtp_url.get_secret_value()
    if not address:
        if settings.environment == "production":
            yield warn(
                "mail",
                "SMTP_URL is empty: no mail is sent, so guests without a password can't get a link to sign in.",
                "Set SMTP_URL and MAIL_FROM. Mails that wait are sent then.",
            )
        return
    begun = time.perf_counter()
    try:
        with smtp.session(address) as server:
            server.noop()
    except (FindMeError, OSError, ValueError) as error:
        cause = error.__cause__ or error
        said = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
        mend = "Mend SMTP_URL (smtp://user:password@host:587 or smtps://host:465). Mails wait meanwhile."
        yield fail("mail", f"The mail server takes no mail from here: {said[:200]}.", mend)
        return
    sender = parseaddr(settings.mail_from)[1]
    if sender.rpartition("@")[2] in _NOBODY_S and settings.environment == "production":
        yield warn("mail", f"MAIL_FROM is {settings.mail_from}: many servers refuse that.", "Set MAIL_FROM.")
        return
    signed_in = "took user and password" if urlsplit(address).username else "took the connection, without a user"
    yield ok("mail", f"the server {signed_in}, after {(time.perf_counter() - begun) * 1000:.0f} ms; nothing was sent")
