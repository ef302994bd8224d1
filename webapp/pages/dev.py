"""For developers only: the messages that would have gone out. Registered in development and nowhere else."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp.extensions import db
from webapp.models import Mail
from webapp.permissions import Who

blueprint = Blueprint("dev", __name__, url_prefix="/dev")

WHO = {"mail": Who.ANYONE}


@blueprint.get("/mail")
def mail() -> ResponseReturnValue:
    """The latest messages."""
    mails = db.session.scalars(select(Mail).order_by(Mail.id.desc()).limit(50)).all()
    return render_template("dev/mail.html", mails=mails)
