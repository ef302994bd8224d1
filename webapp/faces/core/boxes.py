"""Where faces are, and whether two of them are the same one."""

from collections.abc import Sequence

from webapp.faces.core.protocols import Box

SAME_PLACE = 0.5
"""Overlap (intersection over union) from which two boxes are the same face."""


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)


def within_part(box: Box) -> Box:
    """Where a photo's face lies in `crops.probe_part` of itself, relative to that part."""
    left, right = max(0.0, box.x - box.width / 2), min(1.0, box.x + 1.5 * box.width)
    top, bottom = max(0.0, box.y - box.height / 2), min(1.0, box.y + 1.5 * box.height)
    return Box(
        (box.x - left) / (right - left),
        (box.y - top) / (bottom - top),
        box.width / (right - left),
        box.height / (bottom - top),
    )


def pairs(former: Sequence[Box], present: Sequence[Box]) -> dict[int, int]:
    """Which of the former boxes (by its place in the list) is which of the present ones: one to one, best overlap
    first, none below SAME_PLACE.
    """
    alike = [
        (share, old, new)
        for old, one in enumerate(former)
        for new, other in enumerate(present)
        if (share := overlap(one, other)) >= SAME_PLACE
    ]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, old, new in sorted(alike, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if old not in found and new not in taken:
            found[old] = new
            taken.add(new)
    return found
