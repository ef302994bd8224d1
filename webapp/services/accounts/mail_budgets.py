"""How many mails an hour one mailbox gets from us. Each purpose has a budget of its own, so that none uses up another.

Anybody can type anybody's address. No mailbox may be flooded by that, and no owner of an address may be left without a
link because strangers asked for many: links to an address that anybody asked for live as long as the window of their
budget, so whenever it is used up, the mailbox holds links that still work. Who is known, by their session or by the
device on which they joined, asks from a budget of their own account's.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import func, select, text

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Mail
from webapp.queueing import SEND_MAIL, enqueue_after_commit

WINDOW = timedelta(hours=1)

_WITHOUT_DOTS = frozenset({"gmail.com", "googlemail.com"})
"""Domains that deliver an address with dots to the same mailbox as the one without."""


class Purpose(StrEnum):
    """Why a mail goes out."""

    JOINED = "joined"
    """Somebody joined an event with the address."""
    ASKED = "asked"
    """Somebody typed the address to get a link."""
    OWN = "own"
    """The account itself asked, signed in or on the device that it was made on."""
    PASSWORD = "password"  # noqa: S105 - a purpose, not a secret
    """An address was typed to get a link that sets a new password. Apart from ASKED: neither uses up the other."""
    INVITATION = "invitation"
    """A photographer or an admin invited the address, or added it to a team."""
    READY = "ready"
    """There are photos of a guest who asked to be told."""


MAILBOX = {
    Purpose.JOINED: 5,
    Purpose.ASKED: 5,
    Purpose.OWN: 10,
    Purpose.PASSWORD: 5,
    Purpose.INVITATION: 5,
    Purpose.READY: 5,
}
"""Mails to one mailbox within WINDOW."""

ACCOUNT = 5
"""Mails for Purpose.OWN that one account gets within WINDOW, whichever addresses it claims one after the other."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to be sent: to whom, why, in which language, by which template."""

    recipient: str
    purpose: Purpose
    language: str
    kind: str
    user_id: int | None = None
    params: dict[str, str] | None = None


def send(letter: Letter) -> bool:
    """Hand a mail to the worker, if the budget allows one more. Call it in a unit of work.

    Returns whether it does; what the caller answers to strangers must not depend on it.
    """
    mailbox = mailbox_of(letter.recipient)
    _lock(mailbox)
    if not _has_left(mailbox, letter):
        return False
    mail = Mail(
        recipient=letter.recipient,
        recipient_key=mailbox,
        purpose=letter.purpose,
        language=letter.language,
        kind=letter.kind,
        user_id=letter.user_id,
        params=letter.params or {},
    )
    db.session.add(mail)
    db.session.flush()
    enqueue_after_commit(SEND_MAIL, mail.public_id)
    return True


def mailbox_of(email: str) -> str:
    """The mailbox that an address leads to: lower case, without what stands after a plus, and without dots where the
    provider ignores them. For counting only: two people's addresses are never taken for one another elsewhere.
    """
    local, _, domain = email.strip().lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _WITHOUT_DOTS:
        local = local.replace(".", "")
    return f"{local}@{domain}"


def _has_left(mailbox: str, letter: Letter) -> bool:
    lately = select(func.count()).where(Mail.purpose == letter.purpose, Mail.created_at > utcnow() - WINDOW)
    if (db.session.scalar(lately.where(Mail.recipient_key == mailbox)) or 0) >= MAILBOX[letter.purpose]:
        return False
    if letter.purpose is not Purpose.OWN:
        return True
    return (db.session.scalar(lately.where(Mail.user_id == letter.user_id)) or 0) < ACCOUNT


def _lock(mailbox: str) -> None:
    """Count and write as one step. SQLite has one writer anyway; PostgreSQL lets two wait for each other here."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:mailbox, 0))"), {"mailbox": mailbox})
