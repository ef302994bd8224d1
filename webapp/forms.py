"""What pages ask people for. The rules are the services'; forms say which fields there are and collect every fault."""

from typing import Any

from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, DateField, Field, HiddenField, PasswordField, StringField, ValidationError
from wtforms.validators import InputRequired

from webapp.errors import FindMeError, Invalid
from webapp.reasons import SENTENCES, explain, sentence
from webapp.services import accounts
from webapp.services.enrolment import CONSENT_VERSION


class PageForm(FlaskForm):
    """A form whose token was checked before the view ran; it only carries one."""

    form_errors: list[str]

    def show(self, error: FindMeError) -> None:
        """Put an error of a service beside the fields that it means; what has no field stands above the form."""
        homeless = []
        for name, code in error.fields.items():
            if name in self._fields:
                self._fields[name].errors = [sentence(code)]
            else:
                homeless.append(sentence(code))
        if homeless or not error.fields:
            self.form_errors = [*self.form_errors, *(homeless or [explain(error)])]


class CodeForm(PageForm):
    """The code of an event, on the first page."""

    code = StringField(lazy_gettext("Event code"), [InputRequired(SENTENCES["event_code_missing"])])


class SelfieForm(PageForm):
    """A selfie and consent; where consent was given before, the view takes its field away."""

    file = FileField(lazy_gettext("A picture of you"))
    consent = BooleanField(lazy_gettext("I agree"))
    consent_version = HiddenField(default=CONSENT_VERSION)

    def show(self, error: FindMeError) -> None:
        """Whoever agreed to an older text is shown the present one, and agrees to that with the next try."""
        super().show(error)
        self.consent_version.data = CONSENT_VERSION

    def validate_file(self, field: Field) -> None:
        """A file that arrived; whether it is a picture, the service says."""
        if not field.data or not getattr(field.data, "filename", ""):
            raise ValidationError(SENTENCES["selfie_missing"])

    def validate_consent(self, field: Field) -> None:
        """Nothing is looked for without consent."""
        if not field.data:
            raise ValidationError(SENTENCES["consent_required"])


class JoinForm(SelfieForm):
    """Somebody new joins an event."""

    name = StringField(lazy_gettext("Your name"))
    email = StringField(lazy_gettext("E-mail"))
    password = PasswordField(lazy_gettext("Password"))

    def validate(self, extra_validators: Any = None) -> bool:
        """Every fault at once: those of the fields here and those that the account's rules find."""
        valid = bool(super().validate(extra_validators))
        try:
            accounts.check_input(self.email.data or "", self.name.data or "", self.password.data or None)
        except Invalid as error:
            self.show(error)
            return False
        return valid


class JoinAgainForm(SelfieForm):
    """Somebody with an account joins a further event: with the selfie that we know, or a new one."""

    reuse = BooleanField(lazy_gettext("Use my selfie"))

    def validate_file(self, field: Field) -> None:
        if not self.reuse.data:
            super().validate_file(field)


class SignInForm(PageForm):
    """Name or address, and password."""

    login = StringField(lazy_gettext("E-mail or name"), [InputRequired(SENTENCES["login_missing"])])
    password = PasswordField(lazy_gettext("Password"), [InputRequired(SENTENCES["password_missing"])])


class EventForm(PageForm):
    """A new event."""

    name = StringField(lazy_gettext("Name"), [InputRequired(SENTENCES["event_name_invalid"])])
    date = DateField(lazy_gettext("Date"), [InputRequired(SENTENCES["event_date_invalid"])])
    place = StringField(lazy_gettext("Place"))
    code = StringField(lazy_gettext("Code"))

    def process_errors(self) -> None:
        """WTForms says in its own words that a date is none; ours say what to do."""
        if self.date.errors:
            self.date.errors = [SENTENCES["event_date_invalid"]]


class LimitForm(PageForm):
    """How many billable calls an event may make; kept as text, so that what was typed stays."""

    limit = StringField(lazy_gettext("Limit of calls"))
