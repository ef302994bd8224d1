"""The one rule that says what a similarity means. Pure: the same in every direction and order of arrival."""

from dataclasses import dataclass

from webapp.models import Band, Event
from webapp.settings import Settings


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosine similarities from which a match is sure, and from which it is asked about."""

    sure: float
    maybe: float

    def band(self, similarity: float, *, weak: bool) -> Band:
        """The band of a face of this similarity; a weak face is never more than a maybe."""
        if similarity >= self.sure and not weak:
            return Band.SURE
        return Band.MAYBE if similarity >= self.maybe else Band.NONE


def thresholds_of(event: Event, settings: Settings) -> Thresholds:
    """The event's own thresholds where it has them, else the installation's."""
    return Thresholds(
        sure=settings.sure_threshold if event.sure_threshold is None else event.sure_threshold,
        maybe=settings.maybe_threshold if event.maybe_threshold is None else event.maybe_threshold,
    )
