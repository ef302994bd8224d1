"""Mails: rendered per language, sent over SMTP by a worker.

Without SMTP settings a development installation keeps the rendered text for its page of mails, and production says in
the log that it could not be sent and tries again: the row waits.
"""

from collections.abc import Callable
from email.message import EmailMessage

from flask import current_app, render_template
from flask_babel import force_locale, gettext
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Transient
from webapp.models import Event, LinkPurpose, Mail, MailStatus, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, passwords, sign_in_links
from webapp.services.accounts.mail_budgets import Purpose
from webapp.services.core import claims
from webapp.services.events import invitations, team
from webapp.settings import Settings
from webapp.smtp import deliver
from webapp.web.links import absolute, path_to

WAITING = (MailStatus.WAITING, MailStatus.SENDING)


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
            message = EmailMessage()
            message["Subject"] = str(values["subject"])
            message["From"] = current_app.extensions["settings"].mail_from
            message["To"] = mail.recipient
            message.set_content(render_template(f"mail/{mail.kind}.txt", user=user, **values))
            html = render_template(f"mail/{mail.kind}.html", user=user, language=mail.language, **values)
            message.add_alternative(html, subtype="html")
    return message


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
    event = next(iter(found[0].events), None) if joins else None
    return {
        "subject": gettext("Your link to your photos")
        if event is None
        else gettext("Your link to your photos of %(event)s", event=event.name),
        "links": links,
        "event": event,
        "hours": round(lifetime.total_seconds() / 3600),
    }


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


Renderer = Callable[[Mail, User | None], dict[str, object] | None]

RENDERERS: dict[str, Renderer] = {
    sign_in_links.MAIL_KIND: _sign_in,
    passwords.RESET_KIND: _password_reset,
    invitations.MAIL_KIND: _invitation,
    invitations.ADDED_KIND: _team,
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
            body = message.get_body(("plain",))
            mail.rendered = f"{message['Subject']}\n\n{body.get_content() if body else ''}"
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
