"""Forms about passwords."""

from flask_babel import lazy_gettext
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired

from webapp.models import User
from webapp.reasons import SENTENCES
from webapp.web.requests.forms import PageForm


class NewPasswordForm(PageForm):
    """A new password of an account that has none, or whose password is forgotten."""

    password = PasswordField(lazy_gettext("New password"), [InputRequired(SENTENCES["new_password_length"])])


class ChangePasswordForm(NewPasswordForm):
    """A new password in place of the present one."""

    current = PasswordField(lazy_gettext("Present password"), [InputRequired(SENTENCES["password_missing"])])


class ForgottenForm(PageForm):
    """The address to which a link is sent."""

    email = StringField(lazy_gettext("Your e-mail address"), [InputRequired(SENTENCES["email_invalid"])])


def password_form(user: User) -> NewPasswordForm:
    """Return the form for a signed-in account: the present password is asked where there is one."""
    return NewPasswordForm() if user.password_hash is None else ChangePasswordForm()
