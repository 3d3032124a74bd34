"""Keep only what was asked for, and say so if the store has none of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.support.errors import BenchError, UnknownNameError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FILTERS = ("dataset", "method", "ipc", "eval_arch", "profile", "protocol")


def select(
    frame: DataFrame, failures: DataFrame, wanted: Mapping[str, Sequence[str] | None]
) -> tuple[DataFrame, DataFrame]:
    """Return the rows of both frames that carry one of the wanted values in each column.

    A method whose profiles all agree (profile ``any``) belongs to every profile. A protocol may
    be named without its version.

    Args:
        frame: evaluation cells.
        failures: cells without a result; a column that they lack does not filter them.
        wanted: per column of :data:`FILTERS` the values to keep; ``None`` keeps all.

    Raises:
        UnknownNameError: if neither frame has a wanted value.
        BenchError: if each value occurs, but no result has them together.
    """
    kept, failed = frame, failures
    for column, values in wanted.items():
        if not values:
            continue
        known = {v for f in (frame, failures) if column in f for v in _texts(f[column]).dropna()}
        names = {name for value in values for name in _matches(column, value, known)}
        kept = kept[_texts(kept[column]).isin(names)]
        if column in failed:
            failed = failed[_texts(failed[column]).isin(names)]
    if kept.empty and not frame.empty:
        told = ", ".join(f"{_named(c)} {' or '.join(v)}" for c, v in wanted.items() if v)
        raise BenchError(f"the store has no result with {told} together")
    return kept, failed


def _named(column: str) -> str:
    return column.replace("_", "-")


def _texts(values: Series) -> Series:
    """Return a column as users write its values; what is missing stays missing."""
    return values.astype("string")


def _matches(column: str, value: str, known: set[str]) -> set[str]:
    found = {value} & known
    if column == "protocol":
        found |= {name for name in known if name.rsplit("-v", 1)[0] == value}
    if not found:
        raise UnknownNameError(f"{_named(column)} in the store", value, known)
    return found | ({"any"} & known if column == "profile" else set())
