"""The learning curve of a distillation: the accuracy of its set after more and more steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from bench.ledger.cell import percent_mark
from bench.ledger.rows import Setting
from bench.report.plots.against import draw_joined, quantity_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.quantities import PROGRESS, Quantity
from bench.report.row import Row
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.report.plots.series import Series


def learning_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`.

    Raises:
        BenchError: if no set was evaluated before the last step of its distillation.
    """
    drawn = learning_rows(rows)
    if not drawn:
        raise BenchError(
            "no set was evaluated before the last step of its distillation, so there is no "
            "learning curve: run a method with bench run --evaluate-at 25,50,75"
        )
    whole = [row for row in rows if row.ipc is None]
    return quantity_figure([*drawn, *whole], options, (PROGRESS,), _draw)


def learning_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the results that are part of a learning curve: two or more of one distillation.

    What is changed in them is said without the percentage of the steps, so that those of one
    distillation are one series.
    """
    curves: dict[Setting, list[Row]] = {}
    for row in rows:
        point = replace(row, changed=_without_mark(row))
        values = {f.name: getattr(point, f.name) for f in fields(Setting)}
        curves.setdefault(Setting(**{**values, "percent": None}), []).append(point)
    return [row for members in curves.values() if len(members) > 1 for row in members]


def learning_curves(all_series: Sequence[Series]) -> list[Series]:
    """Return a series for each IPC of each series, in the order of the steps."""
    curves = []
    for series in all_series:
        for ipc in dict.fromkeys(row.ipc for row in series.rows):
            members = [row for row in series.rows if row.ipc == ipc]
            curve = tuple(sorted(members, key=PROGRESS.value))
            curves.append(replace(series, rows=curve))
    return curves


def _without_mark(row: Row) -> str:
    """Return what is changed in a result, without the percentage of the steps."""
    mark = percent_mark(row.percent)
    return ", ".join(part for part in row.changed.split(", ") if part != mark)


def _draw(
    axes: Axes, all_series: Sequence[Series], quantity: Quantity, sizes: Mapping[int, float]
) -> None:
    """Draw a curve for each series and IPC."""
    draw_joined(axes, learning_curves(all_series), quantity, sizes)
