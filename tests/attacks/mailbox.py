"""A mailbox for tests: the links that went out, as their readers find them."""

import re
from dataclasses import dataclass

from flask import Flask
from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import Mail

_LINK = re.compile(r"http://localhost(/sign-in/[\w-]+)")


@dataclass(frozen=True)
class Letter:
    """One mail that went out."""

    to: str
    text: str

    @property
    def links(self) -> list[str]:
        """The paths of its links, in order."""
        return _LINK.findall(self.text)


def letters(app: Flask, to: str | None = None) -> list[Letter]:
    """The mails that went out, the first one first. Needs an app of a development installation."""
    with app.app_context():
        rows = db.session.scalars(select(Mail).where(Mail.rendered.is_not(None)).order_by(Mail.id)).all()
        return [Letter(row.recipient, row.rendered or "") for row in rows if to in (None, row.recipient)]
