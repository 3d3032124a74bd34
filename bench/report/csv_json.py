"""Reports for programs: CSV and JSON with every column, nothing rounded."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.report.aggregate import Row, cells
from bench.report.published.compare import Comparison

if TYPE_CHECKING:
    from pandas import DataFrame

_FAILURE = ("dataset", "method", "profile", "ipc", "mode", "eval_arch", "seed", "status", "reason")
_PAPER = ("accuracy", "std", "eval_arch", "train_arch", "protocol_note", "reported_in", "source")


def to_json(
    rows: Sequence[Row], failures: DataFrame, pairs: Sequence[Comparison] | None = None
) -> str:
    """Return ``{"results": [...], "failures": [...]}``; a result's fields are those of ``Row``.

    Args:
        rows: the results.
        failures: cells without a result.
        pairs: comparisons with papers; if given, each result lists its own under ``published``.
    """
    results = []
    for row in rows:
        result = _result(row)
        if pairs is not None:
            result["published"] = [_paper(pair) for pair in pairs if pair.row is row]
        results.append(result)
    missing = [{name: cell[name] for name in _FAILURE} for cell in cells(failures)]
    return (
        json.dumps(
            {"results": results, "failures": missing}, indent=2, allow_nan=False, ensure_ascii=False
        )
        + "\n"
    )


def to_csv(
    rows: Sequence[Row], failures: DataFrame, pairs: Sequence[Comparison] | None = None
) -> str:
    """Return a line per result, then a line per cell without one, told apart by ``status``.

    Args:
        rows: the results.
        failures: cells without a result.
        pairs: comparisons with papers; if given, a result has one line per source that it is
            compared with, and one line with empty ``published_`` columns if there is none.
    """
    names = ["status", "reason", "seed", *Row.__dataclass_fields__, "shared"]
    if pairs is not None:
        names += [
            f"published_{name}" for name in (*_PAPER, "difference", "standard_errors", "differs")
        ]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in _lines(rows, failures, pairs or ()):
        writer.writerow({name: _text(value) for name, value in line.items()})
    return out.getvalue()


def _lines(
    rows: Sequence[Row], failures: DataFrame, pairs: Sequence[Comparison]
) -> Iterator[dict[str, Any]]:
    for row in rows:
        found = [_paper(pair) for pair in pairs if pair.row is row] or [{}]
        for paper in found:
            prefixed = {f"published_{name}": value for name, value in paper.items()}
            yield {"status": "ok", **_result(row), **prefixed}
    for cell in cells(failures):
        yield {name: cell[name] for name in _FAILURE}


def _result(row: Row) -> dict[str, Any]:
    return {**asdict(row), "shared": row.shared}


def _paper(pair: Comparison) -> dict[str, Any]:
    numbers: Mapping[str, Any] = asdict(pair.paper)
    apart = pair.standard_errors
    told = {
        "difference": pair.difference,
        # JSON knows no infinity: networks that agree to the last digit have no spread.
        "standard_errors": apart if apart is not None and math.isfinite(apart) else None,
        "differs": list(pair.differs),
    }
    return {**{name: numbers[name] for name in _PAPER}, **told}


def _text(value: Any) -> Any:
    """Return what a CSV cell holds: several values are parted by semicolons, true is ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return value
