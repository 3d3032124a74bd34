"""The learning curve of a distillation: accuracy of sets that were distilled for more steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation, Setting
from bench.report.aggregate import Row
from bench.report.plots.against import draw_joined, quantity_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.quantities import DISTILLATION_STEPS, Quantity
from bench.report.plots.style import draw_results
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.report.plots.series import Series

# Parameters of methods that say how long to distil, and nothing else.
_LENGTH = re.compile(r"(iterations|epochs|max_steps)=\S+")


def plot_learning(
    evaluations: Sequence[Evaluation], out_dir: Path, options: PlotOptions = DEFAULT
) -> list[Path]:
    """Draw accuracy against the steps of the distillation.

    Checkpoints of a distillation are there to resume it, and are not evaluated. A curve is made of
    cells of their own instead, which differ in how long they distilled and in nothing else.

    Args:
        evaluations: at least two of a method that distilled for different numbers of steps.
        out_dir: where ``learning.png``, ``.svg`` and ``.pdf`` are written; it is made if absent.
        options: the user's.

    Returns:
        The files written.

    Raises:
        BenchError: if nothing was distilled for two numbers of steps, or the size that the user
            chose leaves no room for the panels.
    """
    return draw_results("learning", evaluations, out_dir, options, learning_figure)


def learning_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`.

    Raises:
        BenchError: if nothing was distilled for two numbers of steps.
    """
    curves: dict[Setting, list[Row]] = {}
    for row in rows:
        if row.ipc is not None:
            each = _whatever_the_length(row)
            setting = Setting(**{f.name: getattr(each, f.name) for f in fields(Setting)})
            curves.setdefault(setting, []).append(each)
    drawn = [
        row
        for members in curves.values()
        if len({each.distil_steps for each in members}) > 1
        for row in members
    ]
    if not drawn:
        raise BenchError(
            "nothing was distilled for two numbers of steps, so there is no learning curve: run a "
            "method with several, such as --set dm.iterations=100 and --set dm.iterations=1000"
        )
    return quantity_figure(drawn, options, (DISTILLATION_STEPS,), _draw)


def _whatever_the_length(row: Row) -> Row:
    """Return a result as one of the profile that it changes, if only the length is changed."""
    base, colon, changes = row.changed.partition(": ")
    if row.profile != "custom" or not colon:
        return row
    others = ", ".join(part for part in changes.split(", ") if not _LENGTH.fullmatch(part))
    if not others:
        return replace(row, profile=base, changed="")
    return replace(row, changed=f"{base}: {others}")


def _draw(
    axes: Axes, all_series: Sequence[Series], quantity: Quantity, sizes: Mapping[int, float]
) -> None:
    """Draw a curve for each series and IPC."""
    for series in all_series:
        for ipc in dict.fromkeys(row.ipc for row in series.rows):
            members = [row for row in series.rows if row.ipc == ipc]
            curve = tuple(sorted(members, key=lambda row: row.distil_steps))
            draw_joined(axes, [replace(series, rows=curve)], quantity, sizes)
