"""The frame of a plot: panels in a grid, a title above them, one legend below."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from bench.report.plots.legend import add_legend
from bench.report.plots.options import PlotOptions
from bench.report.plots.series import find_series
from bench.report.plots.style import TITLE
from bench.report.row import Row, setting_order
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches: a figure of one panel, one as wide as the text of a page, and the panels' own sizes.
_ONE_PANEL, _PAGE = 4.6, 7.2
_PANEL_WIDTH, _PANEL_HEIGHT = 2.6, 2.0
# A panel of a height that the user chose is at least this share of what it would be.
_LEAST_SHARE = 0.3
# The search for a figure's height: its draws, its tolerance and its first steps in inches.
_MOST_DRAWN, _NEAR, _MUCH = 10, 0.02, 3.0
# Axis labels beside a panel, in inches.
_BESIDE = 0.6


class Grid:
    """A figure with panels in a grid.

    Attributes:
        figure: the figure.
        panels: its axes, row by row.
        across: how many stand beside each other.
        panel_width: the width of one in inches, without its axis labels.
    """

    def __init__(self, count: int, options: PlotOptions, together: int = 1) -> None:
        """Make the figure.

        Args:
            count: how many panels it has.
            options: the user's.
            together: so many panels belong together, and are never broken over two lines unless
                each is in a line of its own.
        """
        from matplotlib.figure import Figure

        width = options.width or (_ONE_PANEL if count == 1 else _PAGE)
        fitting = max(1, int(width / (_PANEL_WIDTH * options.scale + _BESIDE)))
        across = min(count, fitting)
        across = max(n for n in range(1, across + 1) if n % together == 0 or together % n == 0)
        down = -(-count // across)
        self.figure = Figure((width, down * _PANEL_HEIGHT), layout="constrained")
        every = list(self.figure.subplots(down, across, squeeze=False).flat)
        for axes in every[count:]:
            axes.set_visible(False)
        self.panels: list[Axes] = every[:count]
        self.across, self._down, self._options = across, down, options
        self.panel_width = width / across - _BESIDE

    def label_edges(self, x: str, y: str) -> None:
        """Write the labels of axes that all panels share at the edges of the grid."""
        for i, axes in enumerate(self.panels):
            if i % self.across == 0:
                axes.set_ylabel(y)
            if i + self.across >= len(self.panels):
                axes.set_xlabel(x)

    def finish(
        self,
        rows: Sequence[Row],
        extra: Sequence[Any] = (),
    ) -> Figure:
        """Add the title and the legend, and give the panels their height.

        Args:
            rows: what is drawn; the legend is in the order in which a table shows its methods.
            extra: the last handles of the legend.

        Returns:
            The figure.

        Raises:
            BenchError: if the size that the user chose leaves no room for the panels.
        """
        add_title(self.figure, self._options)
        ordered = sorted(rows, key=lambda row: setting_order(row, row.style))
        labels = [series.label for series in find_series(ordered, rows)]
        add_legend(self.figure, self.panels, self._options, labels, extra)
        fit_height(self.figure, self.panels, self._down, self._options)
        return self.figure


def add_title(figure: Figure, options: PlotOptions, name: str = "", notes: str = "") -> None:
    """Write the user's title above a figure, and below it what the figure shows.

    Args:
        figure: the figure.
        options: the user's.
        name: what the figure shows, which the user's title can stand for.
        notes: how it was made.
    """
    letters = options.letters(figure.get_size_inches()[0] - 0.2, TITLE)
    shown = f"{name}: {notes}" if notes and options.notes else name
    lines = [options.title, shown if options.notes or not options.title else ""]
    text = "\n".join(fill(line, letters) for line in lines if line)
    if text:
        figure.suptitle(text, x=0.01, ha="left")


def fit_height(
    figure: Figure,
    panels: Sequence[Axes],
    down: float,
    options: PlotOptions,
    panel_height: float | None = None,
) -> None:
    """Give a figure the height with which its panels have theirs, or the user's.

    Args:
        figure: is as high as ``down`` times its lowest panel, and what is around the panels.
        panels: its axes.
        down: how many of the lowest panel stand above each other.
        options: the user's.
        panel_height: of the lowest panel in inches; by default that of all plots.

    Raises:
        BenchError: if the size that the user chose leaves no room for the panels.
    """
    width = figure.get_size_inches()[0]
    wanted = panel_height if panel_height is not None else _PANEL_HEIGHT * options.scale**0.5
    if options.height is not None:
        figure.set_size_inches(width, options.height)
        if _lowest(figure, panels) < _LEAST_SHARE * wanted:
            raise BenchError(
                f"a plot of {width:g} x {options.height:g} inches leaves no room for "
                f"{'its panel' if len(panels) == 1 else f'its {len(panels)} panels'}: "
                "make it higher, or leave the height out"
            )
    else:
        _search_height(figure, panels, down, wanted)
    # Each format would compute the same places again, which takes half of the time.
    figure.set_layout_engine("none")


def _search_height(figure: Figure, panels: Sequence[Axes], down: float, wanted: float) -> None:
    width = figure.get_size_inches()[0]
    lowest = 0.0
    for _ in range(_MOST_DRAWN):
        height, lowest = figure.get_size_inches()[1], _lowest(figure, panels)
        if abs(wanted - lowest) < _NEAR:
            return
        # Texts that leave no room at all do not say how much they need.
        growth = (wanted - lowest) * down if lowest else _MUCH
        figure.set_size_inches(width, height + growth)
    if not _lowest(figure, panels):
        raise BenchError(
            f"a plot {width:g} inches wide leaves no room beside its texts: make it wider, or the "
            "letters smaller"
        )


def _lowest(figure: Figure, panels: Sequence[Axes]) -> float:
    """Return the height of the lowest panel in inches; none if their texts leave no room."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.draw_without_rendering()
    if any("constrained_layout not applied" in str(each.message) for each in caught):
        return 0.0
    # The room that a panel has, of which images with square pixels may leave some empty.
    share = min(axes.get_position(original=True).height for axes in panels)
    return float(share * figure.get_size_inches()[1])
