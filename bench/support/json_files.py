"""JSON from files that someone else may have made: nothing that bench would not have written."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

# A value takes two bytes of text and up to a hundred of memory.
_MOST_VALUES = 2**20


def parse_json(raw: str | bytes) -> Any:
    """Return what JSON text says; bytes are UTF-8.

    Stricter than :func:`json.loads`: no key twice in one object, no NaN, no infinity, no number
    too large for a float, no more than a million values.

    Raises:
        ValueError: saying what is wrong.
    """
    text = raw if isinstance(raw, str) else raw.decode("utf-8")
    if sum(map(text.count, "[{,")) > _MOST_VALUES:
        raise ValueError(f"it holds more than {_MOST_VALUES:,} values")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"it holds {twice!r:.50} twice")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds the number {text:.20}")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"it holds {constant}")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse)
