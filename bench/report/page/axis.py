"""What charts of a page can be drawn against, and the scales of their axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.report.number_formats import count, duration, ipc_name, size
from bench.report.row import Row

# Of a chart in pixels, and of the margins around its plot.
WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 42
_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """What a chart can have from left to right.

    Attributes:
        name: for scripts.
        label: under the axis.
        value: of a result; above 0.
        text: of a tick.
        limits: of a linear axis; ``None`` for a logarithmic one, which fits the results.
        tells_ipc: whether the place or the line of a result says its IPC.
    """

    name: str
    label: str
    value: Callable[[Row], float]
    text: Callable[[float], str]
    limits: tuple[float, float] | None = None
    tells_ipc: bool = False


AXES = (
    Axis("ipc", "Images per class", lambda row: float(row.ipc or 0), lambda v: ipc_name(round(v)),
         tells_ipc=True),
    Axis("steps", "Training steps", lambda row: float(row.training_steps), count),
    Axis("images", "Distinct images", lambda row: float(row.distinct_images), count),
    Axis("bytes", "Stored bytes", lambda row: float(row.stored_bytes), lambda v: size(round(v))),
    Axis("time", "Time to distil", lambda row: row.distil_seconds, duration),
)  # fmt: skip
PROGRESS = Axis("progress", "Steps of the distillation", lambda row: float(row.percent or 100),
                lambda v: f"{v:g} %", limits=(0.0, 105.0), tells_ipc=True)  # fmt: skip


def scale_of(axis: Axis, values: Sequence[float]) -> Callable[[float], float]:
    """Return a function from values on an axis to places, from left to right.

    Args:
        axis: what is drawn against.
        values: above 0; what the axis must hold.
    """
    if axis.limits is not None:
        return _linear(*axis.limits)
    return _logarithmic(min(values), max(values))


def _logarithmic(least: float, most: float) -> Callable[[float], float]:
    """Return a function from values to places, with a margin at both ends."""
    span = math.log(most / least) or 1.0
    start, whole = (math.log(least) - 0.06 * span, 1.12 * span)
    if most == least:
        start = math.log(least) - whole / 2

    def across(value: float) -> float:
        return round(LEFT + (math.log(value) - start) / whole * (WIDTH - LEFT - RIGHT), 1)

    return across


def _linear(low: float, high: float) -> Callable[[float], float]:
    """Return a function from values between two ends of an axis to places."""

    def across(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    return across


def ticks_of(
    values: Sequence[float], across: Callable[[float], float], axis: Axis
) -> tuple[tuple[float, str], ...]:
    """Return ticks at values that occur, apart enough for their texts."""
    ticks: list[tuple[float, str]] = []
    for value in values:
        text, place = axis.text(value), across(value)
        if not ticks or place - ticks[-1][0] > 5 * (len(text) + len(ticks[-1][1])) / 2 + 12:
            ticks.append((place, text))
    return tuple(ticks)


def limits_of(low: float, high: float) -> tuple[float, float, float]:
    """Return limits and step of an axis from 0 to 100 that holds ``low`` to ``high``."""
    span = max(high - low, 2.0)
    step = next((s for s in (1, 2, 5, 10, 20) if span / s <= _TICKS), 25)
    bottom = max(0.0, math.floor(low / step) * step)
    return bottom, max(bottom + step, min(100.0, math.ceil(high / step) * step)), float(step)
