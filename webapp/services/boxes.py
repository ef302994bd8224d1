"""Where faces are, and whether two of them are the same one."""

from webapp.faces.protocols import Box


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
