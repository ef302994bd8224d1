"""What can go wrong, as types.

Services raise these; pages and the API map them at the edge to an answer, jobs to a status that a person can see.
`code` is a stable word for programs, which `webapp.reasons` turns into a sentence in the reader's language; `fields`
says which inputs of a form are meant, each with a code of its own.
"""

from collections.abc import Mapping


class FindMeError(Exception):
    """The base of everything that the project raises on purpose."""

    code = "error"
    status = 400

    def __init__(self, detail: str = "", *, code: str | None = None, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.fields = dict(fields or {})
        if code is not None:
            self.code = code


class Invalid(FindMeError):
    """The input can't be taken as it is; says which field and how to mend it."""

    code = "invalid"
    status = 422


class Unauthenticated(FindMeError):
    """Nobody is signed in, or the password or token is wrong."""

    code = "unauthenticated"
    status = 401


class Forbidden(FindMeError):
    """Signed in, the object is theirs to see, but this is not theirs to do."""

    code = "forbidden"
    status = 403


class NotFound(FindMeError):
    """There is no such thing, or it is not theirs: the two look the same from outside."""

    code = "not_found"
    status = 404


class Conflict(FindMeError):
    """The state of things does not allow it now: taken, closed, consent missing."""

    code = "conflict"
    status = 409


class TooLarge(FindMeError):
    """A body or picture over a limit."""

    code = "too_large"
    status = 413


class UnsupportedType(FindMeError):
    """Not a picture that can be read here."""

    code = "unsupported_type"
    status = 415


class TooMany(FindMeError):
    """Too many failures from one place, or too many of something, in some time."""

    code = "too_many_requests"
    status = 429
    seconds: int | None = None
    """After how long it is worth trying again; None: nobody knows."""


class Transient(FindMeError):
    """A fault that passes by itself (network, throttling, a restart); the job is tried again after a pause."""

    code = "transient"
    status = 503


class MissingRights(Transient):
    """Keys, permissions or a bucket are wrong: nothing is lost and the work is tried again, but ops have to mend it."""

    code = "engine_rights"


class LimitReached(FindMeError):
    """The event has used up what it may spend; its work goes on once the limit is raised."""

    code = "call_limit"
    status = 409


class Rejected(FindMeError):
    """A picture that was understood and can't be used; `code` is the reason that people are shown."""

    code = "rejected"
    status = 422


class ConfigurationError(FindMeError):
    """The installation is set up wrongly; says which setting and what to do."""

    code = "configuration"
    status = 500
