"""Where a selfie was sent from, as far as a request can tell."""

from dataclasses import dataclass

from webapp.models import SelfieSource


@dataclass(frozen=True, slots=True)
class Origin:
    """What is kept of the request that brought a selfie. None of it proves anything; together it gives hints."""

    source: SelfieSource = SelfieSource.UNKNOWN
    device: str | None = None
    network: str | None = None


def source_named(value: str | None) -> SelfieSource:
    """The source that a form or a client names; unknown values count as not said."""
    return SelfieSource(value) if value in list(SelfieSource) else SelfieSource.UNKNOWN
