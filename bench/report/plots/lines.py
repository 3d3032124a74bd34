"""What a panel shows beside our results: the whole dataset, and published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.report.aggregate import Row
from bench.report.plots.options import PlotOptions
from bench.report.published.match import match_names, match_theirs
from bench.report.published.read import Published

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_WHOLE_DASHES, _PUBLISHED_DASHES = (0, (1, 1.5)), (0, (1, 3))
_BAR_SIZE = 9.0
_GREY = "#444444"
_PUBLISHED: dict[str, Any] = {
    "linestyle": _PUBLISHED_DASHES, "linewidth": 0.9, "marker": "_", "markersize": _BAR_SIZE,
    "markeredgewidth": 1.6,
}  # fmt: skip


def draw_whole(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw what the whole dataset reaches as a line across the panel."""
    for row in (r for r in rows if r.ipc is None):
        colour = row.style.colour
        axes.axhline(row.mean, color=colour, linestyle=_WHOLE_DASHES, linewidth=1.1,
                     label=row.style.label)  # fmt: skip
        if row.plus_minus is not None:
            low, high = row.mean - row.plus_minus, row.mean + row.plus_minus
            axes.axhspan(low, high, color=colour, alpha=0.08, linewidth=0)


def draw_published(axes: Axes, rows: Sequence[Row], options: PlotOptions) -> bool:
    """Draw the published numbers of a panel's methods as bars, each in its method's colour.

    There is one number for each method and IPC: of several sources, the first whose protocol is
    that of our result, else the first. For the whole dataset, it is a line across the panel.

    Returns:
        Whether there was any.
    """
    index: dict[object, list[Published]] = {}
    for number in options.published:
        index.setdefault(match_theirs(number), []).append(number)
    ipcs = sorted({row.ipc for row in rows if row.ipc is not None})
    drawn = False
    for row in {r.style.label: r for r in reversed(rows)}.values():
        points = [(ipc, _number(index, row, ipc)) for ipc in ([None] if row.ipc is None else ipcs)]
        values = [(ipc, number.accuracy) for ipc, number in points if number is not None]
        drawn = drawn or bool(values)
        if values and row.ipc is None:
            axes.axhline(values[0][1], color=row.style.colour, linestyle=_PUBLISHED_DASHES,
                         linewidth=1.1)  # fmt: skip
        elif values:
            axes.plot(*zip(*values, strict=True), color=row.style.colour, **_PUBLISHED)
    return drawn


def published_handle() -> Line2D:
    """Return what a legend shows for all published numbers."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=_GREY, label="published, in the method's colour", **_PUBLISHED)


def _number(index: dict[object, list[Published]], row: Row, ipc: int | None) -> Published | None:
    numbers = index.get(match_names(row.dataset, row.style.label, ipc, row.eval_arch), [])
    ours, usual = row.protocol.rsplit("-v", 1)[0], row.style.published_protocol
    return min(numbers, key=lambda n: (n.protocol or usual) != ours, default=None)
