"""JSON that somebody else may have written, read more strictly than :mod:`json` does."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from bench.support.untrusted import Limit, read_plain


def read_json(path: str | Path, limit: int, *, follow: bool = True) -> Any:
    """Return the JSON value in a plain file of at most ``limit`` bytes.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a plain file, is too large, or :func:`parse_json` refuses it.
    """
    return parse_json(read_plain(path, limit, follow=follow))


def parse_json(raw: str | bytes) -> Any:
    """Return the value of a JSON text; bytes are decoded as UTF-8.

    Stricter than :func:`json.loads`: no key twice in one object, no NaN, no infinity, no number
    too large for a float, no more than a million values. Bench writes nothing of the kind.

    Raises:
        ValueError: naming what is wrong.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8")
    except AttributeError:  # JSON in a field of JSON that someone sent
        raise ValueError(f"it is a {type(raw).__name__}, not text") from None
    # Every value but the first follows one of these characters, so this is an upper bound.
    if sum(map(text.count, "[{,")) > Limit.JSON_VALUES:
        raise ValueError(f"it holds more than {Limit.JSON_VALUES:,} values")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"it holds {repeated!r:.50} twice")
    return entries


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds the number {text:.20}")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant
)
