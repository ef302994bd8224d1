"""What the API answers, as marshmallow schemas."""

from collections.abc import Iterable
from typing import Any

import marshmallow as ma

from webapp.models import PhotoStatus, UserRole


class Answer(ma.Schema):
    """An answer: every field is always there. Fields may be added later."""

    class Meta:
        unknown = ma.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Tell the document so."""
        field_obj.required = True
        super().on_bind_field(field_name, field_obj)


def _word(words: Iterable[str], **options: Any) -> ma.fields.String:
    """One of some stable words."""
    return ma.fields.String(metadata={"enum": [str(word) for word in words]}, **options)


def _reason() -> ma.fields.String:
    return ma.fields.String(allow_none=True, metadata={"description": "a stable word; null where nothing is wrong"})


def _detail() -> ma.fields.String:
    return ma.fields.String(allow_none=True, metadata={"description": "a sentence for a person"})


def _similarity(**options: Any) -> ma.fields.Float:
    return ma.fields.Float(metadata={"description": "0 to 1, on the scale of the event's engine"}, **options)


class ErrorSchema(Answer):
    """Every error."""

    detail = ma.fields.String(metadata={"description": "a sentence for a person"})
    code = ma.fields.String(metadata={"description": "a stable word for programs"})
    reasons = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        data_key="fields",
        metadata={"description": "input → what is wrong with it"},
    )


class EventSummary(Answer):
    """An event as lists show it."""

    id = ma.fields.String()
    name = ma.fields.String()
    date = ma.fields.Date()


class CodeAnswer(Answer):
    """Whether a code is one."""

    valid = ma.fields.Boolean()
    event = ma.fields.Nested(EventSummary, allow_none=True)


class AvailabilityAnswer(Answer):
    """What is taken already."""

    username_taken = ma.fields.Boolean()
    email_taken = ma.fields.Boolean(
        metadata={"description": "only its signed-in owner is told; to everybody else it is false"}
    )


class PictureAnswer(Answer):
    """Whether a picture would do as a selfie."""

    valid = ma.fields.Boolean(allow_none=True, metadata={"description": "null: not known yet"})
    reason = _reason()
    detail = ma.fields.String(metadata={"description": "a sentence for a person"})


class UserAnswer(Answer):
    """An account, as its owner sees it."""

    id = ma.fields.String(attribute="public_id")
    username = ma.fields.Function(lambda user: user.username or user.name, metadata={"type": "string"})
    name = ma.fields.String()
    email = ma.fields.String(
        allow_none=True, metadata={"description": "as it was typed, proven or not; null: not proven within 48 hours"}
    )
    role = _word(UserRole)


class MeAnswer(Answer):
    """Who I am."""

    id = ma.fields.String(attribute="user.public_id")
    username = ma.fields.Function(
        lambda answer: answer["user"].username or answer["user"].name, metadata={"type": "string"}
    )
    name = ma.fields.String(attribute="user.name")
    email = ma.fields.String(attribute="user.email", allow_none=True)
    role = ma.fields.String(attribute="user.role", metadata={"enum": [str(role) for role in UserRole]})
    events = ma.fields.List(ma.fields.Nested(EventSummary))


class SelfieAnswer(Answer):
    """A selfie that was taken in; how it fares is told by /api/rematch-status."""

    status = _word(["received"])


class Token(Answer):
    """A bearer token."""

    access_token = ma.fields.String()
    token_type = ma.fields.String(dump_default="bearer", metadata={"enum": ["bearer"]})


class Registered(Token):
    """A new account, signed in."""

    user = ma.fields.Nested(UserAnswer)
    event_id = ma.fields.String()
    consent_required = ma.fields.Boolean(metadata={"description": "a selfie will need consent first"})


class RegisteredWithSelfie(Registered):
    """The same, with a selfie."""

    selfie = ma.fields.Nested(SelfieAnswer)


class ConsentAnswer(Answer):
    """The consent that holds now."""

    granted = ma.fields.Boolean()
    version = ma.fields.String(allow_none=True)
    granted_at = ma.fields.DateTime(allow_none=True)
    current_version = ma.fields.String(metadata={"description": "of the text that is shown now"})


class JoinAnswer(Answer):
    """A further event that I am in now."""

    event = ma.fields.Nested(EventSummary)
    consent_required = ma.fields.Boolean()
    selfie = ma.fields.Nested(
        SelfieAnswer, allow_none=True, metadata={"description": "my selfie of an earlier event, taken along"}
    )


class StatusAnswer(Answer):
    """How a search goes, counted from rows."""

    status = _word(["idle", "queued", "running", "done", "rejected", "failed", "waiting", "not_admitted", "stopped"])
    reason = _reason()
    detail = _detail()
    photos_total = ma.fields.Integer()
    photos_indexed = ma.fields.Integer()
    matches = ma.fields.Integer()


class PhotoAnswer(Answer):
    """A photo of mine, or one that is shown to everybody."""

    id = ma.fields.String()
    match_id = ma.fields.String(allow_none=True)
    event_id = ma.fields.String()
    url = ma.fields.String()
    thumbnail_url = ma.fields.String()
    taken_at = ma.fields.DateTime(allow_none=True)
    similarity = _similarity(allow_none=True)
    band = ma.fields.String(allow_none=True)


class QuestionAnswer(Answer):
    """A face that may be mine; its photo is shown once I have said yes."""

    id = ma.fields.String()
    match_id = ma.fields.String()
    crop_url = ma.fields.String()
    similarity = _similarity()


class MatchAnswer(Answer):
    """A face and my word on it."""

    id = ma.fields.String()
    verdict = _word(["none", "confirmed", "rejected"])
    band = ma.fields.String()
    similarity = _similarity()


class Receipt(Answer):
    """What was erased has left this behind."""

    receipt = ma.fields.String()


class Expiration(Answer):
    """When an event and its photos are erased."""

    expires_at = ma.fields.DateTime(allow_none=True, metadata={"description": "null: it has no end yet"})
    seconds_left = ma.fields.Integer(allow_none=True)
    photos = ma.fields.Integer(metadata={"description": "how many photos of me there are by now"})


class StudioEvent(EventSummary):
    """An event that I run."""

    code = ma.fields.String()
    join_url = ma.fields.String()
    many_children = ma.fields.Boolean(
        metadata={"description": "stricter thresholds, and guests are asked about every photo before they see it"}
    )


class ChildrenAnswer(StudioEvent):
    """The event after another word about its children."""

    selfies = ma.fields.Integer(metadata={"description": "how many people are searched again because of it"})


class TokenFacts(Answer):
    """What an upload token is good for."""

    name = ma.fields.String(metadata={"description": "what its maker calls it"})
    expires_at = ma.fields.DateTime()
    event = ma.fields.Nested(EventSummary)
    code = ma.fields.String(metadata={"description": "the event's code"})
    open = ma.fields.Boolean(metadata={"description": "whether the event takes photos now"})


class UploadedFile(Answer):
    """What became of one file."""

    filename = ma.fields.String()
    id = ma.fields.String(allow_none=True, metadata={"description": "of the photo; of a duplicate that of the first"})
    status = _word(["accepted", "duplicate", "rejected"])
    reason = _reason()
    detail = _detail()


class UploadAnswer(Answer):
    """One row a file, in the order in which they were sent."""

    files = ma.fields.List(ma.fields.Nested(UploadedFile))


class StudioPhoto(Answer):
    """A photo as whoever runs its event sees it."""

    id = ma.fields.String()
    filename = ma.fields.String()
    status = _word(PhotoStatus)
    reason = _reason()
    detail = _detail()
    faces = ma.fields.Integer(allow_none=True)
    url = ma.fields.String(allow_none=True, metadata={"description": "null before there is anything to show"})
    thumbnail_url = ma.fields.String(allow_none=True)
    taken_at = ma.fields.DateTime(allow_none=True)


class RematchAnswer(Answer):
    """A computation that waits."""

    status = _word(["queued"])
    selfies = ma.fields.Integer(metadata={"description": "how many people's matches are computed anew"})


class EventCosts(Answer):
    """What an event has cost."""

    event_id = ma.fields.String()
    name = ma.fields.String(allow_none=True, metadata={"description": "null: the event was deleted"})
    engine = ma.fields.String(allow_none=True)
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


class LimitAnswer(EventCosts):
    """The same, after its limit has changed."""

    resumed = ma.fields.Integer(metadata={"description": "photos, selfies and people that go on"})


class MonthCosts(Answer):
    """What a month has cost."""

    month = ma.fields.String(metadata={"description": "2026-06, UTC"})
    calls = ma.fields.Integer()
    dollars = ma.fields.Float()


class AllCosts(Answer):
    """What everything has cost."""

    events = ma.fields.List(ma.fields.Nested(EventCosts))
    months = ma.fields.List(ma.fields.Nested(MonthCosts))
    total = ma.fields.Integer()
    dollars = ma.fields.Float()


class Alive(Answer):
    """This process answers."""

    status = _word(["ok"])


class Readiness(Answer):
    """Whether people can be served, and what is missing."""

    status = _word(["ready", "not ready"])
    degraded = ma.fields.List(_word(["database", "storage", "redis", "workers"]))
