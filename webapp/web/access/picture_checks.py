"""Admission of pictures that are checked before they are sent in: how many at once, and how many that were refused."""

from flask import g

from webapp.errors import TooMany
from webapp.services.selfies import precheck
from webapp.services.selfies.precheck import UNKNOWN, Verdict
from webapp.web.access.limits import checks, count, slow_down


def begin() -> bool:
    """Take a place for a check, before the picture is read; `end` gives it back after the request.

    Returns False where too many pictures are checked already, or too many of this caller were refused and wait. No
    caller is turned away for that: "not known yet" lets them go on.
    """
    try:
        slow_down(checks())
    except TooMany:
        return False
    g.is_checking = precheck.enter()
    return bool(g.is_checking)


def end(_error: BaseException | None = None) -> None:
    """Give back the place that `begin` took."""
    if g.pop("is_checking", False):
        precheck.leave()


def counted(verdict: Verdict) -> Verdict:
    """Count a refusal of the caller; returns the verdict itself.

    Raises:
        TooMany: it was one too many.
    """
    if verdict.valid is False:
        count(checks())
    return verdict


def status_of(verdict: Verdict) -> int:
    """Return 202 for what is not known yet."""
    return 202 if verdict == UNKNOWN else 200
