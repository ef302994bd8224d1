"""How many guests had their first own photo after how many seconds, as an SVG: no library is needed for it."""

from html import escape

import numpy as np

from tests.load.figures import NAMES
from tests.load.measuring import Measured

WIDTH, HEIGHT, LEFT, TOP, GAP = 460, 300, 52, 46, 70
COLOURS = {"product": "#0f766e", "waiting": "#65a30d", "request": "#b91c1c", "pool": "#d97706"}
TITLES = {"A": "Scenario A (API)", "B": "Scenario B (pages)"}


def draw(seen: Measured) -> str:
    """Two panels, one a scenario."""
    parts = [_panel(seen, scenario, number * (WIDTH + GAP)) for number, scenario in enumerate(TITLES)]
    legend = "".join(
        f'<rect x="{LEFT + n * 240}" y="{HEIGHT + 92}" width="14" height="4" fill="{COLOURS[name]}"/>'
        f'<text x="{LEFT + n * 240 + 20}" y="{HEIGHT + 98}">{escape(NAMES[name])}</text>'
        for n, name in enumerate(NAMES)
    )
    size = f"{LEFT + 2 * WIDTH + GAP + 30} {HEIGHT + 120}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="13">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}{legend}</svg>\n'
    )


def _panel(seen: Measured, scenario: str, shift: int) -> str:
    waits = {name: sorted(run.waits("first")) for (name, kind), run in seen.runs.items() if kind == scenario}
    longest = max([5.0, *(values[-1] for values in waits.values() if values)])
    left = LEFT + shift
    parts = [
        f'<text x="{left}" y="26" font-weight="bold">{TITLES[scenario]}: share of guests with their first photo</text>',
        f'<path d="M{left} {TOP}v{HEIGHT}h{WIDTH}" fill="none" stroke="#555"/>',
        f'<text x="{left + WIDTH - 150}" y="{TOP + HEIGHT + 34}">seconds after the selfie</text>',
    ]
    for second in _ticks(longest):
        x = left + WIDTH * second / longest
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{second:g}</text>')
    for share in (0, 50, 95, 100):
        y = TOP + HEIGHT * (1 - share / 100)
        parts.append(f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>')
    for name, values in waits.items():
        parts.append(_steps(values, left, longest, COLOURS[name]))
    return "".join(parts)


def _steps(values: list[float], left: int, longest: float, colour: str) -> str:
    points = [f"M{left} {TOP + HEIGHT}"]
    for number, value in enumerate(values, 1):
        x, y = left + WIDTH * value / longest, TOP + HEIGHT * (1 - number / len(values))
        points.append(f"H{x:.1f}V{y:.1f}")
    return f'<path d="{"".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _ticks(longest: float) -> list[float]:
    step = next(step for step in (1, 2, 5, 10, 20, 50) if longest / step <= 8 or step == 50)
    return [float(value) for value in np.arange(0, longest + 0.01, step)]
