"""What the API takes, as marshmallow schemas; the OpenAPI document is made from them, and from `webapp.api.answers`."""

from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload
from werkzeug.datastructures import FileStorage

from webapp.models import PhotoStatus


class Closed(ma.Schema):
    """A body; fields that nobody knows are ignored, since old clients send some."""

    class Meta:
        unknown = ma.EXCLUDE


class Text(ma.fields.String):
    """A string that every database takes: no NUL, and no half of a character."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> str:
        value: str = super()._deserialize(*args, **kwargs)
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise self.make_error("invalid_utf8")
        return value


class Picture(Upload):
    """A file of a form."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> FileStorage:
        if not isinstance(value, FileStorage):
            raise ma.ValidationError("Not a file.")
        return value


def absent() -> None:
    """The default of what may be left out. A function, since a plain None would be documented as something to send."""


def text(*, required: bool = True, maximum: int = 320, minimum: int = 0, **about: Any) -> Text:
    """A string of limited length; `about` goes into the document, such as an example."""
    return Text(required=required, validate=ma.validate.Length(min=minimum, max=maximum), metadata=about)


def code_text() -> Text:
    """A code as people type it."""
    return text(maximum=64, example="PARTY234", description="case, spaces and hyphens don't count")


def which_event() -> Text:
    """Which of the caller's events is meant."""
    return Text(load_default=absent, metadata={"description": "an event of yours; without it the one joined last"})


def agreement() -> ma.fields.Boolean:
    """The tick at the text about face search."""
    return ma.fields.Boolean(load_default=False, metadata={"description": "I agree to face search", "example": True})


def many_children(*, required: bool) -> ma.fields.Boolean:
    """What the event's form asks about children."""
    told = {"description": "stricter thresholds, and guests are asked about every photo before they see it"}
    return ma.fields.Boolean(required=required, metadata=told | {"example": False})


def page_mark() -> Text:
    """Where a list goes on."""
    return Text(load_default=absent, metadata={"description": "from the Link header of the page before"})


def page_size() -> ma.fields.Integer:
    """Rows of a page."""
    return ma.fields.Integer(load_default=100, validate=ma.validate.Range(1, 500))


class EventCode(Closed):
    event_code = code_text()


class UserData(Closed):
    username = text(example="Ada", description="1 to 80 characters, unique")
    email = text(example="ada@example.com")
    password = text(maximum=1000, example="correct horse battery", description="8 to 200 characters")
    user_type = Text(
        load_default=None,
        allow_none=True,
        metadata={"description": "absent, `user` or `attendee`: all mean a guest", "example": "attendee"},
    )


class Registration(Closed):
    user_data = ma.fields.Nested(UserData, required=True)
    event_code = code_text()
    consent = agreement()


def picture_source() -> Text:
    """Where a selfie comes from, as the client says."""
    return Text(
        load_default=absent,
        validate=ma.validate.OneOf(["camera", "file"]),
        metadata={"description": "where the picture comes from, as a hint for the photographer: `camera` or `file`"},
    )


def seen_from() -> Text:
    """From where a selfie shows the face."""
    return Text(load_default="front", metadata={"description": "`front`, `left` or `right`"})


class InviteForm(Closed):
    username = text(example="Ada", description="1 to 80 characters, unique")
    email = text(example="ada@example.com")
    password = text(maximum=1000, example="correct horse battery", description="8 to 200 characters")
    event_code = code_text()
    consent = ma.fields.Boolean(load_default=False, metadata={"description": "has to be true", "example": True})
    file = Picture(required=True)
    source = picture_source()


class SelfieFile(Closed):
    file = Picture(required=True)


class SelfieQuestion(SelfieFile):
    angle = seen_from()


class SelfieForm(SelfieFile):
    source = picture_source()
    event_id = which_event()
    consent = agreement()
    add = ma.fields.Boolean(
        load_default=False, metadata={"description": "a further angle, instead of replacing the selfie before"}
    )
    angle = seen_from()


class Credentials(Closed):
    username = text(description="username or e-mail address", example="Ada")
    password = text(maximum=1000, example="correct horse battery")


class Availability(Closed):
    username = text(required=False, example="Ada")
    email = text(required=False, example="ada@example.com")
    event_code = code_text()


class ConsentBody(Closed):
    granted = ma.fields.Boolean(required=True)
    version = text(required=False, maximum=40, description="of the text that was shown; without it the present one")
    event_id = Text(load_default=None, metadata={"description": "an event of yours; without it the one joined last"})


class JoinBody(EventCode):
    consent = agreement()


class EventQuery(Closed):
    event_id = which_event()


class PageQuery(EventQuery):
    cursor = page_mark()
    limit = page_size()


class PhotoQuery(PageQuery):
    band = Text(
        load_default=absent,
        validate=ma.validate.OneOf(["sure", "maybe"]),
        metadata={"description": "`maybe`: the faces that you are asked about, instead of photos"},
    )


class VerdictBody(Closed):
    verdict = Text(required=True, validate=ma.validate.OneOf(["confirmed", "rejected", "none"]))


class EventBody(Closed):
    name = text(maximum=1000, example="Anna & Ben", description="1 to 120 characters")
    date = ma.fields.Date(required=True, metadata={"example": "2026-06-20"})
    many_children = many_children(required=False)


class ChildrenBody(Closed):
    many_children = many_children(required=True)


class StudioPhotoQuery(Closed):
    status = Text(
        load_default=absent,
        metadata={"description": "one of: " + ", ".join(f"`{status}`" for status in PhotoStatus)},
    )
    cursor = page_mark()
    limit = page_size()


class LimitBody(Closed):
    limit = ma.fields.Integer(
        required=True,
        allow_none=True,
        strict=True,
        metadata={"description": "billable calls; 0: without limit; null: the installation's limit", "example": 5000},
    )
