"""What pages ask people for. The rules are the services'; forms say which fields there are and collect every fault."""

from collections.abc import Callable
from typing import Any, ClassVar

from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    DateField,
    Field,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import InputRequired

from webapp import accents
from webapp.errors import FindMeError, Invalid
from webapp.models import Event
from webapp.reasons import SENTENCES, explain, sentence
from webapp.services.accounts import accounts
from webapp.services.core.consents import CONSENT_VERSION
from webapp.services.events import events
from webapp.services.events.events import Details

OWN_ACCENT = "own"
"""What the choice of a colour says when it is none of the palette's."""

ACCENT_NAMES: dict[str, Callable[[], str]] = {
    "petrol": lambda: gettext("Petrol"),
    "ocean": lambda: gettext("Ocean"),
    "forest": lambda: gettext("Forest"),
    "plum": lambda: gettext("Plum"),
    "gold": lambda: gettext("Gold"),
    "indigo": lambda: gettext("Indigo"),
}

REGIONS = frozenset({"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"})
"""Of timezones; what lies outside are old names of the same zones."""


class PageForm(FlaskForm):
    """A form whose token was checked before the view ran; it only carries one."""

    form_errors: list[str]
    silent: ClassVar[frozenset[str]] = frozenset()
    """Fields that can't be wrong, and have no region for errors."""

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
    source = HiddenField()
    """The script's word whether the picture comes from the camera or from a file."""
    request_key = HiddenField()
    """The idempotency key, see `webapp.web.access.idempotency`."""

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


class AngleForm(SelfieForm):
    """A further look, from one side."""

    angle = HiddenField()


class JoinForm(SelfieForm):
    """A newcomer joins an event: with a selfie, or without one (`without`); with an address, or without (`keep_here`).

    Without an address the account is kept in this browser.
    """

    silent = frozenset({"keep_here", "without", "wants_mail"})
    name = StringField(lazy_gettext("Your name"))
    email = StringField(lazy_gettext("E-mail"))
    keep_here = BooleanField(lazy_gettext("No e-mail: keep my photos on this phone only"))
    wants_mail = BooleanField(lazy_gettext("Tell me by e-mail when my photos are ready"))
    password = PasswordField(lazy_gettext("Password"))
    without = BooleanField()
    note = TextAreaField(lazy_gettext("Your message to the photographer"))

    @property
    def address(self) -> str | None:
        """The address that was typed; None where the account is to be kept in this browser."""
        return None if self.keep_here.data else self.email.data or ""

    def validate_file(self, field: Field) -> None:
        """A file, unless it is left out."""
        if not self.without.data:
            super().validate_file(field)

    def validate_consent(self, field: Field) -> None:
        """Consent, unless there is nothing to be looked for."""
        if not self.without.data:
            super().validate_consent(field)

    def validate(self, extra_validators: Any = None) -> bool:
        """Every fault at once: those of the fields here and those that the account's rules find."""
        valid = bool(super().validate(extra_validators))
        try:
            accounts.check_input(self.address, self.name.data or "", self.password.data or None)
        except Invalid as error:
            self.show(error)
            if self.address == "":
                self.email.errors = [SENTENCES["address_missing"]]
            return False
        return valid


class JoinAgainForm(SelfieForm):
    """Somebody with an account joins a further event: with the selfie that we know, or a new one."""

    silent = frozenset({"reuse"})
    reuse = BooleanField(lazy_gettext("Use my selfie"))

    def validate_file(self, field: Field) -> None:
        if not self.reuse.data:
            super().validate_file(field)


class SignInForm(PageForm):
    """Name or address, and password."""

    login = StringField(lazy_gettext("E-mail or name"), [InputRequired(SENTENCES["login_missing"])])
    password = PasswordField(lazy_gettext("Password"), [InputRequired(SENTENCES["password_missing"])])


class AddressForm(PageForm):
    """An account's address, while it isn't proven."""

    email = StringField(lazy_gettext("E-mail"), [InputRequired(SENTENCES["email_invalid"])])


class RecoveryForm(PageForm):
    """The recovery code of an account."""

    code = StringField(lazy_gettext("Your code"), [InputRequired(SENTENCES["recovery_code_unknown"])])


class EventForm(PageForm):
    """A new event, or another word about one."""

    name = StringField(lazy_gettext("Name"), [InputRequired(SENTENCES["event_name_invalid"])])
    date = DateField(lazy_gettext("Date"), [InputRequired(SENTENCES["event_date_invalid"])])
    place = StringField(lazy_gettext("Place"))
    timezone = SelectField(lazy_gettext("Timezone"), default="UTC", validate_choice=False)
    language = SelectField(lazy_gettext("Language of your guests"), validate_choice=False)
    accent = RadioField(lazy_gettext("Colour"), default="", validate_choice=False)
    own_accent = StringField(lazy_gettext("Your own colour"), default="#145f5c")
    many_children = RadioField(lazy_gettext("Are there many children?"), default="", validate_choice=False)
    code = StringField(lazy_gettext("Code"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timezone.choices = _timezones(self.timezone.data)
        self.language.choices = [
            ("", gettext("Each guest's own")),
            ("en", gettext("English")),
            ("fr", gettext("French")),
        ]
        self.many_children.choices = [("", gettext("No")), ("y", gettext("Yes"))]
        self.accent.choices = [(accents.PALETTE[name], label()) for name, label in ACCENT_NAMES.items()]

    def process_errors(self) -> None:
        """WTForms says in its own words that a date is none; ours say what to do."""
        if self.date.errors:
            self.date.errors = [SENTENCES["event_date_invalid"]]

    def details(self) -> Details:
        """What was typed, for the service. Without a date the form is not valid, and this is not called."""
        chosen = self.accent.data or ""
        return Details(
            name=self.name.data or "",
            date=self.date.data,
            place=self.place.data or "",
            timezone=self.timezone.data or "",
            language=self.language.data or "",
            accent=(self.own_accent.data or "").lower() if chosen == OWN_ACCENT else chosen,
            code=self.code.data or None,
            # A form without the question says nothing about it.
            many_children=self.many_children.data == "y" if self.many_children.raw_data else None,
        )


def event_form(event: Event) -> EventForm:
    """The form about an event, filled with what is known of it."""
    own = bool(event.accent) and event.accent not in accents.PALETTE.values()
    return EventForm(
        name=event.name,
        date=event.date,
        place=event.place,
        timezone=event.timezone,
        language=event.language,
        accent=OWN_ACCENT if own else event.accent,
        own_accent=event.accent if own else "#145f5c",
        many_children="y" if event.many_children else "",
        code=event.code,
    )


def _timezones(present: str | None) -> dict[str, list[tuple[str, str]]]:
    """Region → its zones, as a list to choose from; the present one is there, whatever it is called."""
    found: dict[str, list[tuple[str, str]]] = {"": [("UTC", "UTC")]}
    for zone in sorted(events.timezones()):
        region, _, place = zone.partition("/")
        if place and region in REGIONS:
            found.setdefault(region, []).append((zone, place.replace("_", " ").replace("/", " – ")))
    known = {zone for zones in found.values() for zone, _ in zones}
    if present in events.timezones() - known:
        found[""].append((str(present), str(present)))
    return found


class CoverForm(PageForm):
    """The event's cover: a file, or one of its photos."""

    file = FileField(lazy_gettext("A picture from your device"))
    photo = HiddenField()


class PublishingForm(PageForm):
    """When guests see new photos, and what is written across those that they save."""

    approval = RadioField(lazy_gettext("New photos"), default="", validate_choice=False)
    waiting = RadioField(lazy_gettext("Photos that wait now"), validate_choice=False)
    watermark = StringField(lazy_gettext("Watermark"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.approval.choices = [
            ("", gettext("Guests see them at once")),
            ("y", gettext("Guests see them once you publish them")),
        ]
        self.waiting.choices = [
            ("publish", gettext("Publish them now")),
            ("keep", gettext("Leave them waiting")),
        ]


class JoiningForm(PageForm):
    """Who may join an event, and until when."""

    admits = RadioField(lazy_gettext("Who joins"), default="", validate_choice=False)
    join_days = StringField(lazy_gettext("Days after the event until joining ends"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.admits.choices = [
            ("", gettext("Everybody who has the link or the code")),
            ("y", gettext("I admit guests: they wait until I have seen who they are")),
        ]


class DeletionForm(PageForm):
    """Whoever deletes an event types its name first."""

    name = StringField(lazy_gettext("Name of the event"))


class InvitationForm(PageForm):
    """Whom to ask."""

    email = StringField(lazy_gettext("E-mail"), [InputRequired(SENTENCES["email_invalid"])])


class AcceptForm(PageForm):
    """A new photographer's name and password; the address stands in the invitation."""

    name = StringField(lazy_gettext("Your name"))
    password = PasswordField(lazy_gettext("Password"), [InputRequired(SENTENCES["password_missing"])])


class LimitForm(PageForm):
    """How many billable calls an event may make; kept as text, so that what was typed stays."""

    limit = StringField(lazy_gettext("Limit of calls"))
