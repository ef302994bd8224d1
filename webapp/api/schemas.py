"""What the API takes and gives, as marshmallow schemas; the OpenAPI document is made from them."""

from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload


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


def text(*, required: bool = True, maximum: int = 320, minimum: int = 0) -> Text:
    """A string of limited length."""
    return Text(required=required, validate=ma.validate.Length(min=minimum, max=maximum))


class ErrorSchema(ma.Schema):
    """Every error."""

    detail = ma.fields.String(metadata={"description": "a sentence for a person"})
    code = ma.fields.String(metadata={"description": "a stable word for programs"})
    reasons = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        data_key="fields",
        metadata={"description": "input → what is wrong with it"},
    )


class EventCode(Closed):
    event_code = text(maximum=64)


class EventSummary(ma.Schema):
    id = ma.fields.String()
    name = ma.fields.String()
    date = ma.fields.Date()


class CodeAnswer(ma.Schema):
    valid = ma.fields.Boolean()
    event = ma.fields.Nested(EventSummary, allow_none=True)


class UserData(Closed):
    username = text()
    email = text()
    password = text(maximum=1000)
    user_type = Text(load_default=None, allow_none=True)


class Registration(Closed):
    user_data = ma.fields.Nested(UserData, required=True)
    event_code = text(maximum=64)
    consent = ma.fields.Boolean(load_default=False)


class InviteForm(Closed):
    username = text()
    email = text()
    password = text(maximum=1000)
    event_code = text(maximum=64)
    consent = ma.fields.Boolean(load_default=False)


class SelfieFile(Closed):
    file = Upload(required=True)


class SelfieForm(Closed):
    event_id = Text(load_default=None)
    consent = ma.fields.Boolean(load_default=False)
    add = ma.fields.Boolean(load_default=False)
    angle = Text(load_default="front")


class UserSchema(ma.Schema):
    id = ma.fields.String(attribute="public_id")
    username = ma.fields.Function(lambda user: user.username or user.name)
    name = ma.fields.String()
    email = ma.fields.String()
    role = ma.fields.String()


class SelfieAnswer(ma.Schema):
    status = ma.fields.String()


class Registered(ma.Schema):
    user = ma.fields.Nested(UserSchema)
    event_id = ma.fields.String()
    access_token = ma.fields.String()
    token_type = ma.fields.String(dump_default="bearer")
    consent_required = ma.fields.Boolean()


class RegisteredWithSelfie(Registered):
    selfie = ma.fields.Nested(SelfieAnswer)


class Credentials(Closed):
    username = text()
    password = text(maximum=1000)


class Token(ma.Schema):
    access_token = ma.fields.String()
    token_type = ma.fields.String(dump_default="bearer")


class Availability(Closed):
    username = text(required=False)
    email = text(required=False)
    event_code = text(maximum=64)


class AvailabilityAnswer(ma.Schema):
    username_taken = ma.fields.Boolean()
    email_taken = ma.fields.Boolean()


class ConsentBody(Closed):
    granted = ma.fields.Boolean(required=True)
    version = text(required=False, maximum=40)
    event_id = Text(load_default=None)


class ConsentAnswer(ma.Schema):
    granted = ma.fields.Boolean()
    version = ma.fields.String(allow_none=True)
    granted_at = ma.fields.DateTime(allow_none=True)
    current_version = ma.fields.String()


class JoinBody(EventCode):
    consent = ma.fields.Boolean(load_default=False)


class JoinAnswer(ma.Schema):
    event = ma.fields.Nested(EventSummary)
    consent_required = ma.fields.Boolean()
    selfie = ma.fields.Nested(SelfieAnswer, allow_none=True)


class EventQuery(Closed):
    event_id = Text(load_default=None)


class PageQuery(EventQuery):
    cursor = Text(load_default=None)
    limit = ma.fields.Integer(load_default=100, validate=ma.validate.Range(1, 500))


class PhotoQuery(PageQuery):
    band = Text(load_default=None, validate=ma.validate.OneOf(["sure", "maybe"]))


class StatusAnswer(ma.Schema):
    status = ma.fields.String()
    reason = ma.fields.String(allow_none=True)
    detail = ma.fields.String(allow_none=True)
    photos_total = ma.fields.Integer()
    photos_indexed = ma.fields.Integer()
    matches = ma.fields.Integer()


class PhotoAnswer(ma.Schema):
    id = ma.fields.String()
    match_id = ma.fields.String(allow_none=True)
    event_id = ma.fields.String()
    url = ma.fields.String()
    thumbnail_url = ma.fields.String()
    taken_at = ma.fields.DateTime(allow_none=True)
    similarity = ma.fields.Float(allow_none=True)
    band = ma.fields.String(allow_none=True)
    crop_url = ma.fields.String()


class VerdictBody(Closed):
    verdict = Text(required=True, validate=ma.validate.OneOf(["confirmed", "rejected", "none"]))


class MatchAnswer(ma.Schema):
    id = ma.fields.String()
    verdict = ma.fields.String()
    band = ma.fields.String()
    similarity = ma.fields.Float()


class Receipt(ma.Schema):
    receipt = ma.fields.String()


class Expiration(ma.Schema):
    expires_at = ma.fields.DateTime(allow_none=True)
    seconds_left = ma.fields.Integer(allow_none=True)
    photos = ma.fields.Integer()


class EventBody(Closed):
    name = text(maximum=1000)
    date = ma.fields.Date(required=True)


class StudioEvent(EventSummary):
    code = ma.fields.String()
    join_url = ma.fields.String()


class UploadedFile(ma.Schema):
    filename = ma.fields.String()
    id = ma.fields.String(allow_none=True)
    status = ma.fields.String()
    reason = ma.fields.String(allow_none=True)
    detail = ma.fields.String(allow_none=True)


class UploadAnswer(ma.Schema):
    files = ma.fields.List(ma.fields.Nested(UploadedFile))


class StudioPhotoQuery(Closed):
    status = Text(load_default=None)
    cursor = Text(load_default=None)
    limit = ma.fields.Integer(load_default=100, validate=ma.validate.Range(1, 500))


class StudioPhoto(ma.Schema):
    id = ma.fields.String()
    filename = ma.fields.String()
    status = ma.fields.String()
    reason = ma.fields.String(allow_none=True)
    detail = ma.fields.String(allow_none=True)
    faces = ma.fields.Integer(allow_none=True)
    url = ma.fields.String()
    thumbnail_url = ma.fields.String()
    taken_at = ma.fields.DateTime(allow_none=True)


class RematchAnswer(ma.Schema):
    status = ma.fields.String()
    selfies = ma.fields.Integer()


class LimitBody(Closed):
    limit = ma.fields.Integer(
        required=True,
        allow_none=True,
        strict=True,
        metadata={"description": "billable calls; 0: without limit; null: the installation's limit"},
    )


class Costs(ma.Schema):
    calls = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Integer(),
        metadata={"description": "operation → billable calls"},
    )
    total = ma.fields.Integer()
    dollars = ma.fields.Float(metadata={"description": "an estimate by list price, without storage of faces"})
    limit = ma.fields.Integer(allow_none=True, metadata={"description": "the one that holds; null: none"})
    own_limit = ma.fields.Integer(allow_none=True, metadata={"description": "null: the installation's; 0: none"})
    left = ma.fields.Integer(allow_none=True)
    reached = ma.fields.Boolean()


class EventCosts(Costs):
    event_id = ma.fields.String()
    name = ma.fields.String(allow_none=True, metadata={"description": "null: the event was deleted"})
    engine = ma.fields.String(allow_none=True)


class LimitAnswer(EventCosts):
    resumed = ma.fields.Integer(metadata={"description": "photos, selfies and people that go on"})


class MonthCosts(ma.Schema):
    month = ma.fields.String(metadata={"description": "2026-06, UTC"})
    calls = ma.fields.Integer()
    dollars = ma.fields.Float()


class AllCosts(ma.Schema):
    events = ma.fields.List(ma.fields.Nested(EventCosts))
    months = ma.fields.List(ma.fields.Nested(MonthCosts))
    total = ma.fields.Integer()
    dollars = ma.fields.Float()


class MeAnswer(ma.Schema):
    id = ma.fields.String(attribute="user.public_id")
    username = ma.fields.Function(lambda answer: answer["user"].username or answer["user"].name)
    name = ma.fields.String(attribute="user.name")
    email = ma.fields.String(attribute="user.email")
    role = ma.fields.String(attribute="user.role")
    events = ma.fields.List(ma.fields.Nested(EventSummary))
