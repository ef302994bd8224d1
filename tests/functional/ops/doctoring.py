"""Helpers of the doctor's tests: a part of the settings changed, one check run."""

from typing import Any

from webapp.ops.doctor.examining import examine_with
from webapp.ops.doctor.findings import Check, Context, Finding
from webapp.settings import Settings


def found(settings: Settings, *checks: Check, **changes: Any) -> list[Finding]:
    """Run checks, one after the other in one context, with some settings changed."""
    context = Context(settings.model_copy(update=changes))
    try:
        return list(examine_with(context, checks))
    finally:
        context.engine.dispose()


def one(settings: Settings, *checks: Check, **changes: Any) -> Finding:
    """Run checks and return what the last of them found, which is one finding."""
    return found(settings, *checks, **changes)[-1]


def states(findings: list[Finding]) -> dict[str, str]:
    """Return the state of each part."""
    return {finding.name: finding.state for finding in findings}
