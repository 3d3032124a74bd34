"""What a user may choose of every plot: its title, notes, size and size of the letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.report.estimates import Spread
from bench.report.published.read import Published
from bench.support.errors import BenchError

# In inches: a letter of a legend would not fit in less, and no page is larger.
_SMALLEST, _LARGEST = 1.5, 60.0
_LETTERS = (4.0, 30.0)
# DejaVu Sans, per point of its size; a mean over English texts.
_LETTER_WIDTH = 0.56


def _say_nothing(_: str) -> None:
    """Tell no one what is left out."""


@dataclass(frozen=True)
class PlotOptions:
    """What a user may choose of every plot.

    Attributes:
        title: stands above the plot; empty leaves it out.
        notes: whether the plot says in small letters how its results were measured.
        width: of the figure in inches; ``None`` lets the plot choose.
        height: of the figure in inches; ``None`` makes it as high as its panels and legend need.
        font_size: of axis labels in points; titles, ticks and notes have sizes in proportion.
        max_panels: a plot with more panels shows one for each dataset.
        spread: what error bars are: standard deviation, standard error or 95 % interval.
        published: numbers of papers to draw beside ours, in :data:`bench.report.plots.PUBLISHED`.
        say: receives a line about what is left out.
    """

    title: str = ""
    notes: bool = True
    width: float | None = None
    height: float | None = None
    font_size: float = 8.5
    max_panels: int = 6
    spread: Spread = "sd"
    published: tuple[Published, ...] = ()
    say: Callable[[str], None] = _say_nothing

    def __post_init__(self) -> None:
        for side, name in ((self.width, "width"), (self.height, "height")):
            if side is not None and not _SMALLEST <= side <= _LARGEST:
                raise BenchError(
                    f"a plot's {name} of {side:g} inches is not from {_SMALLEST:g} to {_LARGEST:g}"
                )
        if not _LETTERS[0] <= self.font_size <= _LETTERS[1]:
            raise BenchError(
                f"a plot's font size of {self.font_size:g} points is not from "
                f"{_LETTERS[0]:g} to {_LETTERS[1]:g}"
            )

        if self.max_panels < 1:
            raise BenchError(f"a plot of at most {self.max_panels} panels shows nothing")

    @property
    def scale(self) -> float:
        """Return how much larger the letters are than by default."""
        return self.font_size / PlotOptions.font_size

    def letters(self, inches: float, relative: float = 1.0) -> int:
        """Return how many letters fit into a width.

        Args:
            inches: the width.
            relative: the size of the letters, relative to that of axis labels.
        """
        return max(8, int(inches * 72 / (self.font_size * relative * _LETTER_WIDTH)))


# The default of every function that draws.
DEFAULT = PlotOptions()


def parse_size(text: str) -> tuple[float, float | None]:
    """Return width and height in inches of ``7x4``, and no height of ``7``.

    Raises:
        BenchError: if the text is of neither form.
    """
    width, sign, height = text.lower().partition("x")
    try:
        return float(width), float(height) if sign else None
    except ValueError:
        raise BenchError(
            f"size '{text}' is not of the form WIDTHxHEIGHT or WIDTH, in inches: 7x4, 3.3"
        ) from None
