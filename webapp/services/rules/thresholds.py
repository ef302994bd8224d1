"""The one rule that says what a similarity means. Pure: the same in every direction and order of arrival."""

from dataclasses import dataclass

from webapp.faces import rekognition
from webapp.models import Band, Event
from webapp.settings import Settings


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Similarities, on the engine's own scale, from which a match is sure and from which it is asked about."""

    sure: float
    maybe: float
    asks: bool = False
    """Nothing is sure before the person has said so, however alike it is."""

    def band(self, similarity: float, *, weak: bool) -> Band:
        """The band of a face of this similarity; a weak face is never more than a maybe."""
        if similarity >= self.sure and not weak and not self.asks:
            return Band.SURE
        return Band.MAYBE if similarity >= self.maybe else Band.NONE


@dataclass(frozen=True, slots=True)
class Found:
    """One face that resembles a person."""

    photo_id: int
    similarity: float
    band: Band


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found, by the face's key."""

    found: dict[int, Found]
    expansion: bytes | None = None
    """The mean that it was found with besides the templates, where vectors are ours."""
    faces: tuple[int, int] | None = None
    """Which faces were searched, where vectors are ours: see `face_templates.faces_state`."""
    capped: bool = False
    """A service cut its answer: there are more."""


CHILDREN = Thresholds(sure=0.65, maybe=0.52, asks=True)
"""At events with many children, whose faces are taken for one another far more often than adults'."""

CHILDREN_REKOGNITION = Thresholds(sure=0.98, maybe=0.90, asks=True)
"""The same on Rekognition's scale. Not measured."""


def thresholds_of(event: Event, settings: Settings) -> Thresholds:
    """The event's own thresholds where it has them, else the installation's for the event's engine, which are never
    laxer at an event with many children than those for children.

    Each engine has a scale of its own: a service's similarity is no cosine, and neither is a probability.
    """
    if event.engine == rekognition.ENGINE:
        sure, maybe = settings.rekognition_sure / 100, settings.rekognition_maybe / 100
        children = CHILDREN_REKOGNITION
    else:
        sure, maybe, children = settings.sure_threshold, settings.maybe_threshold, CHILDREN
    if event.many_children:
        sure, maybe = max(sure, children.sure), max(maybe, children.maybe)
    return Thresholds(
        sure=sure if event.sure_threshold is None else event.sure_threshold,
        maybe=maybe if event.maybe_threshold is None else event.maybe_threshold,
        asks=event.many_children,
    )
