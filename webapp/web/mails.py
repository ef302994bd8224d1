"""Mails: rendered per language, sent over SMTP by a worker.

Without SMTP settings a development installation keeps the rendered mail for its page of mails, and production says in
the log that it could not be sent and tries again: the row waits.
"""

import re
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import parseaddr

from flask import current_app, render_template
from flask_babel import force_locale, gettext, ngettext
from sqlalchemy import select

from webapp import accents
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Transient
from webapp.models import Event, LinkPurpose, Mail, MailStatus, Membership, MembershipRole, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, passwords, sign_in_links
from webapp.services.accounts.mail_budgets import Purpose
from webapp.services.core import claims
from webapp.services.events import invitations, team
from webapp.services.joining import enrolment, ready_mails
from webapp.services.queries import gallery
from webapp.settings import Settings
from webapp.smtp import deliver
from webapp.web.links import absolute, absolute_cover, back_url, path_to

WAITING = (MailStatus.WAITING, MailStatus.SENDING)

_NAME = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f '’\-]|\.(?=\s|$)){1,40}")
"""A name that a greeting may hold: letters, without anything that a mail program would turn into a link."""
_BLANK_LINES = re.compile(r"\n\s*\n\s*\n")


class _GivenUpError(Exception):
    """Too many processes died while they had this mail."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def send(public_id: str) -> None:
    """Send a waiting mail. Runs in a worker."""
    token = claims.claim(Mail, public_id, Mail.status.in_(WAITING), status=MailStatus.SENDING)
    if token is None:
        return
    try:
        message = _render(public_id)
        if message is not None:
            deliver(message)
    except Transient as error:
        _postpone(public_id, token, error.code)
    except _GivenUpError as error:
        _postpone(public_id, token, error.reason, final=True)
    except Exception:
        _postpone(public_id, token, "internal")
        raise
    else:
        _record(public_id, token, message)


def _render(public_id: str) -> EmailMessage | None:
    """The message; a link in it is made only now, so that none waits in a table. None when there is nothing to say."""
    with unit_of_work():
        mail = db.session.scalars(select(Mail).where(Mail.public_id == public_id)).one()
        if given_up := claims.cause_of_failure(mail):
            raise _GivenUpError(given_up)
        user = db.session.get(User, mail.user_id) if mail.user_id else None
        reader = user or accounts.verified_user(mail.recipient)
        if reader is not None and reader.disabled_at is not None:
            return None
        with force_locale(mail.language):
            values = RENDERERS[mail.kind](mail, user)
            if values is None:
                return None
            return _message(mail, _layout_values(values, user or reader) | values)


def _message(mail: Mail, values: dict[str, object]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(str(values["subject"]).split())
    sender: str = current_app.extensions["settings"].mail_from
    message["From"] = sender
    message["To"] = mail.recipient
    message["Date"] = utcnow()
    # The same in each try, so that a mail program recognises a mail that was sent twice.
    message["Message-ID"] = f"<{mail.public_id}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    if stop := values.get("stop"):
        # RFC 8058: the mail program stops these mails by one POST to this address.
        message["List-Unsubscribe"] = f"<{stop}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # Jinja's blocks leave blank lines behind.
    text = _BLANK_LINES.sub("\n\n", render_template(f"mail/{mail.kind}.txt", **values)).strip()
    message.set_content(f"{text}\n")
    html = render_template(f"mail/{mail.kind}.html", **values | {"language": mail.language})
    message.add_alternative(html, subtype="html")
    return message


def _layout_values(values: dict[str, object], reader: User | None) -> dict[str, object]:
    """Return what `mail/_layout` shows around each mail: the event's look, its photographer and the reader's name."""
    event = values.get("event")
    colour = accents.PALETTE["petrol"]
    if isinstance(event, Event):
        colour = accents.given(event.accent, event.public_id)
    return {
        "event": event,
        "cover": absolute_cover(event) if isinstance(event, Event) else None,
        "photographer": _photographer(event) if isinstance(event, Event) else None,
        "by_day": accents.light(colour),
        "by_night": accents.dark(colour),
        "reader": _greeted(reader),
        "home": absolute("/"),
    }


def _photographer(event: Event) -> str | None:
    """Return the name of the event's owner."""
    owner = select(User.name).join(Membership, Membership.user_id == User.id)
    return db.session.scalar(
        owner.where(Membership.event_id == event.id, Membership.role == MembershipRole.OWNER).limit(1)
    )


def _greeted(reader: User | None) -> str | None:
    """Return the name to greet the reader by.

    Whoever types an address types the name beside it, so a name must not carry a message to a stranger's mailbox.
    """
    return reader.name if reader is not None and _NAME.fullmatch(reader.name) else None


def _sign_in(mail: Mail, _user: User | None) -> dict[str, object] | None:
    found = sign_in_links.accounts_in(mail)
    joins = mail.purpose == Purpose.JOINED
    lifetime = sign_in_links.TO_PROVE if joins else sign_in_links.LIFETIME
    links = [
        (account, absolute(path_to("auth.link", token=sign_in_links.new_token(account.user, lifetime))))
        for account in found
    ]
    if not links:
        return None
    events = found[0].events if len(found) == 1 else []
    event = next(iter(events), None) if joins or len(events) == 1 else None
    return {
        "subject": gettext("Your link to your photos")
        if event is None
        else gettext("Your link to your photos of %(event)s", event=event.name),
        "links": links,
        "event": event,
        "joins": joins and event is not None,
        "photos": _photos_of(event, found[0].user) if joins and event is not None else None,
        "faceless": joins and event is not None and _is_faceless(event, found[0].user),
        "back": back_url(event, found[0].user) if event is not None else None,
        "hours": round(lifetime.total_seconds() / 3600),
    }


def _photos_of(event: Event, user: User) -> int | None:
    """Return how many photos the guest may see of themselves; None while the photographer has not admitted them."""
    membership = enrolment.membership_of(event, user)
    if membership is None or not membership.is_admitted:
        return None
    return gallery.photos_found(enrolment.own_person(membership))


def _is_faceless(event: Event, user: User) -> bool:
    """Return whether the guest has handed in no selfie, so that there is nothing to look for."""
    membership = enrolment.membership_of(event, user)
    return membership is not None and gallery.progress_of(membership, enrolment.own_person(membership)).selfie is None


def _invitation(mail: Mail, _user: User | None) -> dict[str, object] | None:
    made = invitations.renew_token(mail.params["invitation"])
    if made is None:
        return None
    invitation, token = made
    event = db.session.get(Event, invitation.event_id) if invitation.event_id is not None else None
    actor = db.session.get(User, invitation.invited_by_id) if invitation.invited_by_id is not None else None
    return {
        "subject": gettext("Your invitation to the team of %(event)s", event=event.name)
        if event is not None
        else gettext("Your invitation as a photographer"),
        "link": absolute(path_to("invitations.accept", token=token)),
        "event": event,
        "invited_by": actor.name if actor is not None else None,
        "expires_at": invitation.expires_at,
    }


def _team(mail: Mail, user: User | None) -> dict[str, object] | None:
    event = db.session.scalar(select(Event).where(Event.public_id == mail.params["event"]))
    if event is None or user is None or not team.runs(event, user):
        return None
    actor = db.session.scalar(select(User).where(User.public_id == mail.params["actor"]))
    return {
        "subject": gettext("You are in the team of %(event)s", event=event.name),
        "link": absolute(path_to("studio.event", event_id=event.public_id)),
        "event": event,
        "added_by": actor.name if actor is not None else None,
    }


def _password_reset(mail: Mail, _user: User | None) -> dict[str, object] | None:
    links = [
        (
            account,
            absolute(
                path_to("passwords.reset", token=sign_in_links.new_token(account.user, purpose=LinkPurpose.PASSWORD))
            ),
        )
        for account in sign_in_links.accounts_in(mail)
    ]
    return {"subject": gettext("Set a new password"), "links": links} if links else None


def _photos(mail: Mail, user: User | None) -> dict[str, object] | None:
    news = ready_mails.news_of(mail, user)
    if news is None:
        return None
    event, count = news.membership.event, news.count
    if news.first:
        subject = gettext("Your photos of %(event)s are ready", event=event.name)
    else:
        subject = ngettext(
            "%(num)s new photo of you at %(event)s", "%(num)s new photos of you at %(event)s", count, event=event.name
        )
    token = ready_mails.stop_token(news.membership)
    return {
        "subject": subject,
        "event": event,
        "first": news.first,
        "count": count,
        "back": back_url(event, user),
        "stop": absolute(path_to("guest_mails.stop", token=token)),
    }


Renderer = Callable[[Mail, User | None], dict[str, object] | None]

RENDERERS: dict[str, Renderer] = {
    sign_in_links.MAIL_KIND: _sign_in,
    passwords.RESET_KIND: _password_reset,
    invitations.MAIL_KIND: _invitation,
    invitations.ADDED_KIND: _team,
    ready_mails.MAIL_KIND: _photos,
}
"""Kind → what its template needs; None when its reader, or what it is about, is gone."""


def _record(public_id: str, token: str, message: EmailMessage | None) -> None:
    settings: Settings = current_app.extensions["settings"]
    with unit_of_work():
        mail: Mail | None = claims.held(Mail, public_id, token)
        if mail is None:
            return
        mail.status, mail.failure_reason, mail.sent_at = MailStatus.SENT, None, utcnow()
        if message is not None and settings.environment == "development" and not settings.smtp_url.get_secret_value():
            text, html = message.get_body(("plain",)), message.get_body(("html",))
            mail.rendered = f"{message['Subject']}\n\n{text.get_content() if text else ''}"
            mail.rendered_html = html.get_content() if html else None
        claims.settle(mail)


def _postpone(public_id: str, token: str, reason: str, *, final: bool = False) -> None:
    with unit_of_work():
        mail: Mail | None = claims.held(Mail, public_id, token)
        if mail is None:
            return
        mail.status = MailStatus.WAITING
        if final or not claims.postpone(mail):
            mail.status, mail.failure_reason = MailStatus.FAILED, reason
            claims.settle(mail)
