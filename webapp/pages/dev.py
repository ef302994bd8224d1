"""For developers only: the messages that would have gone out. Registered in development and nowhere else."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp.errors import NotFound
from webapp.extensions import db
from webapp.models import Mail
from webapp.permissions import Who

blueprint = Blueprint("dev", __name__, url_prefix="/dev")

WHO = {"mail": Who.ANYONE}
_OWN_MACHINE = {"127.0.0.1", "::1"}


@blueprint.get("/mail")
def mail() -> ResponseReturnValue:
    """The latest messages. They carry links that sign people in, so only this very machine is shown them."""
    if request.remote_addr not in _OWN_MACHINE:
        raise NotFound(code="not_found")
    mails = db.session.scalars(select(Mail).order_by(Mail.id.desc()).limit(50)).all()
    return render_template("dev/mail.html", mails=mails)
