"""What a panel shows beside our results: the whole dataset, and published numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bench.report.plots.options import PlotOptions
from bench.report.plots.series import find_whole
from bench.report.published.match import match_names, match_theirs
from bench.report.published.read import Published
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# Lines across a panel: dots, then what no profile of a series has.
_WHOLE_DASHES: tuple[tuple[int, tuple[float, ...]], ...] = (
    (0, (1, 1.5)), (0, (6, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (6, 1.5, 1, 1.5, 1, 1.5)),
)  # fmt: skip
_PUBLISHED_DASHES = (0, (1, 3))
_BAR_SIZE = 9.0
_GREY = "#444444"
_BAR: dict[str, Any] = {
    "linestyle": "none", "marker": "_", "markersize": _BAR_SIZE, "markeredgewidth": 1.6,
}  # fmt: skip
_JOINED: dict[str, Any] = {**_BAR, "linestyle": _PUBLISHED_DASHES, "linewidth": 0.9}
_WHOLE_NAME = "Whole dataset"


def draw_whole(axes: Axes, rows: Sequence[Row], figure_rows: Sequence[Row]) -> None:
    """Draw what the whole dataset reaches as a line across the panel, one for each setting.

    Args:
        axes: the panel.
        rows: its results.
        figure_rows: every result of the figure, so that labels and dashes mean the same in each
            panel.
    """
    every = find_whole(figure_rows, figure_rows)
    for series in find_whole(rows, figure_rows):
        colour = series.style.colour
        twins = dict.fromkeys(s.label for s in every if s.style.label == series.style.label)
        dashes = _WHOLE_DASHES[list(twins).index(series.label) % len(_WHOLE_DASHES)]
        for row in series.rows:
            axes.axhline(row.mean, color=colour, linestyle=dashes, linewidth=1.1,
                         label=series.label)  # fmt: skip
            if row.plus_minus is not None:
                low, high = row.mean - row.plus_minus, row.mean + row.plus_minus
                axes.axhspan(low, high, color=colour, alpha=0.08, linewidth=0)


def draw_published(axes: Axes, rows: Sequence[Row], options: PlotOptions) -> bool:
    """Draw the published numbers of a panel's methods against IPC, each in its method's colour.

    There is one number for each method and IPC of the panel, as a bar: of several sources, the
    first whose protocol is that of our result, else the first. For the whole dataset, which we need
    not have, it is a line across the panel.

    Returns:
        Whether there was any.
    """
    numbers = _Numbers(options)
    drawn = numbers.draw_whole(axes, rows)
    ipcs = sorted({row.ipc for row in rows if row.ipc is not None})
    for row in {r.style.label: r for r in reversed(rows) if r.ipc is not None}.values():
        values = [(ipc, value) for ipc in ipcs if (value := numbers.accuracy(row, ipc)) is not None]
        if values:
            drawn = True
            axes.plot(*zip(*values, strict=True), color=row.style.colour, **_JOINED)
    return drawn


def draw_published_beside(
    axes: Axes, rows: Sequence[Row], options: PlotOptions, place: Callable[[Row], float]
) -> bool:
    """Draw published numbers as :func:`draw_published` does, against another quantity.

    Papers do not state it: a bar stands at the place of our result of the same method and IPC, the
    final one and the first of several in the order of tables.

    Args:
        axes: the panel.
        rows: its results.
        options: the user's.
        place: the quantity of a result of ours.

    Returns:
        Whether there was any.
    """
    numbers = _Numbers(options)
    drawn = numbers.draw_whole(axes, rows)
    final = [row for row in rows if row.ipc is not None and row.percent is None]
    for row in {(r.style.label, r.ipc): r for r in reversed(final)}.values():
        value = numbers.accuracy(row, row.ipc)
        if value is not None:
            drawn = True
            axes.plot([place(row)], [value], color=row.style.colour, **_BAR)
    return drawn


def published_handle(*, joined: bool = True) -> Line2D:
    """Return what a legend shows for all published numbers.

    Args:
        joined: whether lines join them, as of :func:`draw_published`.
    """
    from matplotlib.lines import Line2D

    label = "published, in the method's colour"
    if not joined:
        label += ", where ours is"
    return Line2D([], [], color=_GREY, label=label, **(_JOINED if joined else _BAR))


class _Numbers:
    """Published numbers, by what they are of."""

    def __init__(self, options: PlotOptions) -> None:
        self._index: dict[object, list[Published]] = {}
        for number in options.published:
            self._index.setdefault(match_theirs(number), []).append(number)

    def accuracy(self, row: Row, ipc: int | None, label: str = "") -> float | None:
        """Return the accuracy of a result's method, or of another label, at an IPC."""
        key = match_names(row.dataset, label or row.style.label, ipc, row.eval_arch)
        ours, usual = row.protocol.rsplit("-v", 1)[0], row.style.published_protocol
        numbers = self._index.get(key, [])
        best = min(numbers, key=lambda n: (n.protocol or usual) != ours, default=None)
        return None if best is None else best.accuracy

    def draw_whole(self, axes: Axes, rows: Sequence[Row]) -> bool:
        """Draw the published number of the whole dataset; return whether there is one."""
        value = self.accuracy(rows[0], None, _WHOLE_NAME) if rows else None
        if value is not None:
            axes.axhline(value, color="black", linestyle=_PUBLISHED_DASHES, linewidth=1.1,
                         label=f"{_WHOLE_NAME}, published")  # fmt: skip
        return value is not None
