"""Values as Python code gives them to a call, turned into those of a request and a site."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from bench.support.arguments import check_argument
from bench.support.comma_list import split_commas
from bench.support.errors import BenchError


def as_whole(value: Any) -> Any:
    """Turn NumPy's whole numbers into Python's, which JSON knows; the grid refuses the rest."""
    return int(value) if isinstance(value, Integral) and value is not True else value


def as_list(value: Any) -> Any:
    """Return a list; what is none stays, and the checks refuse it."""
    if isinstance(value, str):
        return split_commas(value)
    return list(value) if isinstance(value, Iterable) else value


def as_path(name: str, value: str | Path) -> str:
    """Return a path as a text.

    Raises:
        BenchError: it is no path.
    """
    check_argument(name, value, (str, os.PathLike), "a path")
    return str(value)


def as_paths(plugins: Any) -> tuple[str, ...]:
    """Return one path or several as texts.

    Raises:
        BenchError: they are none.
    """
    several = [plugins] if isinstance(plugins, str | Path) else as_list(plugins)
    check_argument("plugins", several, list, "a path or several")
    return tuple(as_path("plugins", one) for one in several)


def as_seconds(budget: Any) -> float | None:
    """Return a time budget.

    Raises:
        BenchError: it is no number of seconds.
    """
    is_number = isinstance(budget, Real) and not isinstance(budget, bool)
    if budget is None or (is_number and budget >= 0):
        return None if budget is None else float(budget)
    raise BenchError(f"time_budget {budget!r} is not allowed: it must be a number of seconds")


def as_numbers(given: int | str | Sequence[int]) -> list[Any]:
    """Return a list of numbers; texts that are no whole ones stay, and the checks refuse them."""
    if isinstance(given, str):
        return [int(part) if part.isdecimal() else part for part in split_commas(given)]
    return [as_whole(each) for each in (given if isinstance(given, Iterable) else [given])]
