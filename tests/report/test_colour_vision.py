"""Colours and markers of methods are apart, for readers with common deficiencies of vision too."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from colour_vision import VISIONS, ciede2000, contrast_with_white, seen
from report_rows import evaluation

from bench.registry.registry import METHODS
from bench.report.method_styles import SPARE_COLOURS, MethodStyle, method_styles

# CIEDE2000: about one is a just noticeable difference of large patches; markers are small.
FAR = 10.0


@pytest.fixture(scope="module")
def built_in() -> dict[str, MethodStyle]:
    names = [n for n, e in METHODS.entries().items() if e.origin.startswith("distillation-bench")]
    return method_styles([evaluation(method=name) for name in names])


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
        ((50, 2.5, 0), (50, 3.1736, 0.5854), 1.0),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_distance_is_that_of_its_authors(
    first: tuple[float, ...], second: tuple[float, ...], distance: float
) -> None:
    """Pairs of Sharma's test data."""
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(distance, abs=1e-4)


def test_colours_that_are_known_to_be_confused_are_near() -> None:
    """A red and a green of equal lightness to a deuteranope, far apart to others."""
    red, green = "#E69F00", "#66A61E"
    near = ciede2000(seen(red, "protanopia"), seen(green, "protanopia"))
    assert near < 4 < 30 < ciede2000(seen(red, "normal"), seen(green, "normal"))


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_of_methods_are_far_apart(vision: str, built_in: dict[str, MethodStyle]) -> None:
    colours = {name: style.colour for name, style in built_in.items()}
    colours |= {f"spare {i}": colour for i, colour in enumerate(SPARE_COLOURS)}
    near = {
        f"{first}, {second}": round(distance, 1)
        for first, second in combinations(colours, 2)
        if (distance := ciede2000(seen(colours[first], vision), seen(colours[second], vision)))
        < FAR
    }
    assert not near


def test_each_built_in_method_has_a_marker_of_its_own(built_in: dict[str, MethodStyle]) -> None:
    assert len({style.marker for style in built_in.values()}) == len(built_in)


def test_colours_are_visible_on_white(built_in: dict[str, MethodStyle]) -> None:
    colours = [*(style.colour for style in built_in.values()), *SPARE_COLOURS]
    assert min(map(contrast_with_white, colours)) > 1.9
