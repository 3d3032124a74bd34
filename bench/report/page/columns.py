"""The columns of the full table: how a result is shown, sorted and copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.report.number_formats import count, duration, ipc_name, ipc_order, size
from bench.report.result_tables import marked_percent
from bench.report.row import Row


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the field of :class:`bench.report.row.Row` that it shows, for scripts.
        header: over it.
        text: returns what a result shows.
        key: returns what it is sorted by.
        is_number: whether it is set flush right.
        is_shown: whether it is visible at first.
    """

    name: str
    header: str
    text: Callable[[Row], str]
    key: Callable[[Row], str | float]
    is_number: bool = False
    is_shown: bool = True

    def is_needed(self, rows: Sequence[Row]) -> bool:
        """Return whether any result has something to show here."""
        return any(self.text(row) for row in rows)


def _word(name: str, header: str, *, is_shown: bool = True) -> Column:
    def text(row: Row) -> str:
        return str(getattr(row, name))

    return Column(name, header, text, text, is_shown=is_shown)


def _number(
    name: str, header: str, form: Callable[[float], str], *, is_shown: bool = True
) -> Column:
    def value(row: Row) -> float:
        return float(getattr(row, name))

    return Column(
        name, header, lambda row: form(value(row)), value, is_number=True, is_shown=is_shown
    )


# The columns by which people choose results.
FILTERED = ("dataset", "method", "eval_arch", "protocol")
COLUMNS = (
    _word("dataset", "Dataset"),
    Column("method", "Method", lambda row: row.style.label, lambda row: row.style.label.lower()),
    Column("ipc", "IPC", lambda row: ipc_name(row.ipc), lambda row: min(ipc_order(row.ipc), 1e12),
           is_number=True),
    Column("mean", "Accuracy (%)", marked_percent, lambda row: row.mean, is_number=True),
    _number("n", "n", count),
    _word("varies", "± over", is_shown=False),
    _word("mode", "Mode"),
    _word("profile", "Profile"),
    _word("changed", "Changed", is_shown=False),
    _word("arch", "Distilled with", is_shown=False),
    _word("eval_arch", "Evaluated with"),
    _word("protocol", "Protocol"),
    _word("selection", "Selection", is_shown=False),
    _word("precision", "Precision", is_shown=False),
    _word("labels", "Labels", is_shown=False),
    _word("origin", "Origin", is_shown=False),
    _word("divergence", "Diverged"),
    _number("stored_bytes", "Stored", lambda value: size(round(value))),
    _number("distinct_images", "Distinct images", count),
    _number("training_steps", "Training steps", count),
    _number("distil_seconds", "Distilling", duration),
    _number("eval_seconds", "Evaluating", duration, is_shown=False),
    _word("device", "Device", is_shown=False),
)  # fmt: skip
