"""What an event showed its guests."""

from dataclasses import dataclass

Shown = dict[str, dict[str, list[str]]]
"""For each guest the photo files of the bands `sure` and `maybe`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event showed its guests."""

    shown: Shown
    refused: dict[str, str]
    """Guests whose first selfie the gate refused, and the reason."""
