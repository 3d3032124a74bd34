"""What accuracies are drawn against: budgets of a result, each with its label and its axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.report.number_formats import count, listing, size
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A logarithmic axis has no zero; what takes less than this is drawn as if it took this.
_SECONDS_FLOOR = 1e-3
_MARGIN = 1.6
# A range of more than this factor has labels at powers of ten only; one below the other none.
_WIDE, _NARROW = 50, 3
# So many values have a label each, if they are not too near; a label takes this share of an axis.
_FEW, _LABEL_SHARE = 4, 0.16
# Of values within this factor, the lowest has the only label.
_SAME = 1.25


@dataclass(frozen=True)
class Quantity:
    """What results can have from left to right.

    Attributes:
        label: under the axis, for some results.
        value: of a result with an IPC; above 0.
        text: of a tick.
        exact: whether it is a count that users choose, so that ticks are at the values themselves.
        limits: of a linear axis; ``None`` for a logarithmic one, which fits the results.
    """

    label: Callable[[Sequence[Row]], str]
    value: Callable[[Row], float]
    text: Callable[[float], str]
    exact: bool = True
    limits: tuple[float, float] | None = None


TIME = Quantity(
    lambda rows: (
        f"Distillation time of the artefact (s, on {listing(r.distil_device for r in rows)})"
    ),
    lambda row: max(row.distil_seconds, _SECONDS_FLOOR),
    lambda value: f"{float(f'{value:.3g}'):,.6g}",
    exact=False,
)
BYTES = Quantity(
    lambda _: "Stored size",
    lambda row: float(max(1, row.stored_bytes)),
    lambda value: size(round(value)).replace(".0 ", " "),
    exact=False,
)
IPC = Quantity(lambda _: "Images per class", lambda row: float(row.ipc or 1), count)
TRAINING_STEPS = Quantity(
    lambda _: "Training steps of a network", lambda row: float(max(1, row.training_steps)), count
)
IMAGES = Quantity(
    lambda _: "Distinct images shown to a network",
    lambda row: float(max(1, row.distinct_images)),
    count,
)
PROGRESS = Quantity(
    lambda _: "Steps of the distillation (% of all)",
    lambda row: float(row.percent or 100),
    count,
    limits=(0.0, 105.0),
)


def scale_axis(axes: Axes, quantity: Quantity, rows: Sequence[Row]) -> None:
    """Make the x axis logarithmic, with a few plain labels however narrow its range.

    One of a quantity with limits is linear, and has these.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    axes.set_xlabel(quantity.label(rows))
    if quantity.limits is not None:
        axes.set_xlim(*quantity.limits)
        values = sorted({quantity.value(row) for row in rows if row.ipc is not None})
        if len(values) <= _FEW + 1:
            axes.set_xticks(values)
        return
    axes.set_xscale("log")
    values = sorted({quantity.value(row) for row in rows if row.ipc is not None})
    if not values:
        return
    low, high = values[0], values[-1]
    axes.set_xlim(low / _MARGIN, high * _MARGIN)
    if (quantity.exact and len(values) <= _FEW) or high < _NARROW * low:
        ticks = values if quantity.exact and len(values) <= _FEW else [low, high]
        axes.xaxis.set_major_locator(FixedLocator(_apart(ticks)))
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high > _WIDE * low else (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity.text(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _apart(values: Sequence[float]) -> list[float]:
    """Return rising values whose labels do not collide: the first, the last, and what fits."""
    low, high = values[0], values[-1]
    if high < _SAME * low:
        return [low]
    room = (high * _MARGIN**2 / low) ** _LABEL_SHARE
    apart = [low]
    for value in values[1:-1]:
        if value > apart[-1] * room and value * room < high:
            apart.append(value)
    return [*apart, high]
