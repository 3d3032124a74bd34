"""The legend of a figure, which stands below its panels and is read line by line."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from bench.report.plots.options import PlotOptions
from bench.report.plots.style import LEGEND

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HANDLE = 0.6  # inches


def add_legend(
    figure: Figure,
    panels: Sequence[Axes],
    options: PlotOptions,
    first: Sequence[str],
    extra: Sequence[Any],
) -> None:
    """Give a figure one legend under its panels, each label once.

    Args:
        figure: the figure.
        panels: its axes, which name what they show.
        options: the user's.
        first: the labels of the series, in their order; other labels follow.
        extra: the last handles.
    """
    handles_by_label: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles_by_label.setdefault(label, handle)
    place = {label: i for i, label in enumerate(first)}
    # Lines across a panel belong after the series.
    ordered = sorted(handles_by_label.items(), key=lambda pair: place.get(pair[0], len(place)))
    handles = [*(handle for _, handle in ordered), *extra]
    width = figure.get_size_inches()[0]
    letters = options.letters(width - _HANDLE, LEGEND)
    labels = [fill(label, letters) for label, _ in ordered]
    labels += [handle.get_label() for handle in extra]
    for lines in range(1, len(labels) + 1):
        columns = -(-len(labels) // lines)
        order = _line_by_line(len(labels), columns)
        legend = figure.legend(
            [handles[i] for i in order], [labels[i] for i in order],
            loc="outside lower center", ncols=columns,
        )  # fmt: skip
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            break
        legend.remove()


def _line_by_line(count: int, columns: int) -> list[int]:
    """Return the order in which a legend, which fills column by column, reads line by line."""
    return [i for column in range(columns) for i in range(column, count, columns)]
