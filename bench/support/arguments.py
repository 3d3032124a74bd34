"""Checks of what Python code passes to the API, with one message for each wrong argument."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from bench.support.errors import BenchError


def check_argument(name: str, value: Any, kinds: type | tuple[type, ...], what: str) -> None:
    """Refuse an argument of another type.

    Args:
        name: of the parameter.
        value: that was passed.
        kinds: the types that are allowed.
        what: they are, in words: ``"a whole number"``.

    Raises:
        BenchError: naming the parameter, the value and what is allowed.
    """
    is_flag = isinstance(value, bool) and kinds is not bool  # Python counts it among numbers
    if is_flag or not isinstance(value, kinds):
        raise BenchError(f"{name} {value!r:.80} is not allowed: it must be {what}")


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is no whole number from ``least`` up.

    Raises:
        BenchError: as :func:`check_argument`.
    """
    what = f"a whole number from {least} up"
    check_argument(name, value, Integral, what)
    if value < least:
        raise BenchError(f"{name} {value!r} is not allowed: it must be {what}")
