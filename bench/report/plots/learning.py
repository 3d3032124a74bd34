"""The learning curve of a distillation: the accuracy of its set after more and more steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation, Setting
from bench.report.plots.against import draw_joined, quantity_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.quantities import PROGRESS, Quantity
from bench.report.plots.same_seeds import curve_of, share_seeds
from bench.report.plots.style import draw_results
from bench.report.row import Row
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.report.plots.series import Series

# So many of the curves that lose a part of their seeds are named.
_MOST_NAMED = 4


def plot_learning(
    evaluations: Sequence[Evaluation], out_dir: Path, options: PlotOptions = DEFAULT
) -> list[Path]:
    """Draw the learning curves, each over the seeds and networks that all of its points have.

    Args:
        evaluations: some of them of sets before the last step of their distillation.
        out_dir: where ``learning.png``, ``.svg`` and ``.pdf`` are written; it is made if absent.
        options: the user's.

    Returns:
        The files written.

    Raises:
        BenchError: if there is no curve, or the size that the user chose leaves no room for the
            panels.
    """
    shared, losses = share_seeds(evaluations)
    if losses:
        more = len(losses) - _MOST_NAMED
        options.say(
            "not drawn: seeds and networks that not all points of a curve have; left are "
            f"{'; '.join(losses[:_MOST_NAMED])}{f'; and {more} more' if more > 0 else ''}"
        )
    return draw_results("learning", learning_figure, shared, out_dir, options)


def learning_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`.

    Args:
        rows: of evaluations that :func:`share_seeds` returned.
        options: the user's.

    Raises:
        BenchError: if no set was evaluated before the last step of its distillation.
    """
    drawn = learning_rows(rows)
    if not drawn:
        raise BenchError(
            "no set was evaluated before the last step of its distillation and again after more "
            "steps, so there is no learning curve: run a method with bench run --evaluate-at "
            "25,50,75"
        )
    whole = [row for row in rows if row.ipc is None]
    return quantity_figure([*drawn, *whole], options, (PROGRESS,), _draw, note=curves_note)


def curves_note(rows: Sequence[Row]) -> str:
    """Return over which seeds learning curves are, and how many where not all results have them."""
    curves = dict.fromkeys(row.varies for row in rows if row.ipc is not None)
    counts = f" ({' or '.join(curves)})" if len({row.varies for row in rows}) > 1 else ""
    return f"each curve over the seeds and nets that all its points have{counts}"


def learning_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the results that are part of a learning curve: two or more of one distillation.

    What is changed in them is said without the percentage of the steps, so that those of one
    distillation are one series. Beside the curve of a generator stands its reference: what fresh
    real images give at the same IPC, once at the first of the curve's shares and once at the last.
    """
    curves: dict[Setting, list[Row]] = {}
    for row in rows:
        curve = curve_of(row)
        curves.setdefault(curve, []).append(replace(row, changed=curve.changed))
    drawn = [row for members in curves.values() if len(members) > 1 for row in members]
    single = [row for members in curves.values() if len(members) == 1 for row in members]
    first: dict[tuple[object, ...], int] = {}
    for row in drawn:
        place = _place(row)
        first[place] = min(first.get(place, 100), row.percent or 100)
    references = [
        replace(row, percent=percent)
        for row in single
        if _is_reference(row) and _place(row) in first
        for percent in (first[_place(row)], None)
    ]
    return drawn + references


def _is_reference(row: Row) -> bool:
    """Return whether a result is that of a stream that nothing was trained for: of real images."""
    return row.mode == "stream" and row.percent is None and row.distil_steps <= 1


def _place(row: Row) -> tuple[object, ...]:
    """Return where a result stands in the plot, and how it was shown."""
    return row.conditions, row.ipc, row.mode


def learning_curves(all_series: Sequence[Series]) -> list[Series]:
    """Return a series for each IPC of each series, in the order of the steps."""
    curves = []
    for series in all_series:
        for ipc in dict.fromkeys(row.ipc for row in series.rows):
            members = [row for row in series.rows if row.ipc == ipc]
            curve = tuple(sorted(members, key=PROGRESS.value))
            curves.append(replace(series, rows=curve))
    return curves


def _draw(
    axes: Axes, all_series: Sequence[Series], quantity: Quantity, sizes: Mapping[int, float]
) -> None:
    """Draw a curve for each series and IPC."""
    draw_joined(axes, learning_curves(all_series), quantity, sizes)
