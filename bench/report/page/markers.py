"""Markers of matplotlib as SVG paths, so that a page shows a method as the plots do."""

from __future__ import annotations

import math


def marker_path(marker: str) -> str:
    """Return a closed path around the origin, about 9 units wide; a circle for unknown markers.

    Args:
        marker: as matplotlib names it, for instance ``o``, ``s``, ``^`` or ``*``.
    """
    return _PATHS.get(marker, _PATHS["o"])


def _polygon(corners: int, radius: float, turn: float = 0.0, inner: float | None = None) -> str:
    """Return a regular polygon, or a star whose inner corners are at ``inner``.

    Args:
        corners: how many, of a star its points.
        radius: from the middle to a corner.
        turn: clockwise from the top, in degrees.
        inner: the radius of a star's inner corners.
    """
    radii = [radius] if inner is None else [radius, inner]
    total = corners * len(radii)
    points = []
    for i in range(total):
        angle = math.radians(turn + 360 * i / total)
        r = radii[i % len(radii)]
        points.append(f"{r * math.sin(angle):.1f} {-r * math.cos(angle):.1f}")
    return f"M{'L'.join(points)}Z"


_PLUS = "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z"
_CROSS = (
    "M-4.2-2.1l2.1-2.1 2.1 2.1 2.1-2.1 2.1 2.1-2.1 2.1 "
    "2.1 2.1-2.1 2.1-2.1-2.1-2.1 2.1-2.1-2.1 2.1-2.1z"
)
_PATHS = {
    "o": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "s": "M-3.7-3.7h7.4v7.4h-7.4z",
    "D": _polygon(4, 4.8),
    "d": "M0-5L3 0L0 5L-3 0Z",
    "^": _polygon(3, 5),
    "v": _polygon(3, 5, 180),
    "<": _polygon(3, 5, 270),
    ">": _polygon(3, 5, 90),
    "p": _polygon(5, 4.8),
    "h": _polygon(6, 4.6),
    "H": _polygon(6, 4.6, 30),
    "8": _polygon(8, 4.4, 22.5),
    "*": _polygon(5, 6, inner=2.4),
    "P": _PLUS,
    "X": _CROSS,
    "_": "M-5-1h10v2h-10z",
}
