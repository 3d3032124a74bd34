"""Reports for programs: CSV and JSON with every column, nothing rounded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import starmap
from typing import Any

from bench.ledger.rows import Failure, Setting
from bench.report.published.compare import Comparison
from bench.report.row import RESULT_COLUMNS, Row, result_fields

# Results that a report leaves out, and the reason of each.
LeftOut = Sequence[tuple[Row, str]]

_FAILURE = ("dataset", "method", "profile", "ipc", "mode", "eval_arch", "seed", "status", "reason")
# What tells a result from others; not what it came to.
_SETTING = tuple(each.name for each in fields(Setting) if each.name in RESULT_COLUMNS)
_PAPER = (
    "accuracy",
    "std",
    "sets",
    "eval_arch",
    "train_arch",
    "protocol_note",
    "reported_in",
    "source",
)
_COMPARISON = (*_PAPER, "difference", "verdict", "p", "no_verdict_because", "differs")


def to_json(
    rows: Sequence[Row],
    failures: Sequence[Failure],
    pairs: Sequence[Comparison] | None = None,
    left_out: LeftOut | None = None,
) -> str:
    """Return ``{"results": [...], "failures": [...]}``; a result's fields are those of ``Row``.

    Args:
        rows: the results.
        failures: cells without a result.
        pairs: comparisons with papers; if given, each result lists its own under ``published``.
        left_out: of a report at an equal budget, the results outside it and why; if given, they
            are listed without their accuracies under ``left_out``.
    """
    results = []
    for row in rows:
        result = result_fields(row)
        if pairs is not None:
            result["published"] = [_paper(pair) for pair in pairs if pair.row is row]
        results.append(result)
    report = {"results": results, "failures": [_failure(one) for one in failures]}
    if left_out is not None:
        report["left_out"] = [_left_out(row, reason) for row, reason in left_out]
    return json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(
    rows: Sequence[Row],
    failures: Sequence[Failure],
    pairs: Sequence[Comparison] | None = None,
    left_out: LeftOut | None = None,
) -> str:
    """Return a line per result, then a line per cell without one, told apart by ``status``.

    Args:
        rows: the results.
        failures: cells without a result.
        pairs: comparisons with papers; if given, a result has one line per source that it is
            compared with, and one line with empty ``published_`` columns if there is none.
        left_out: of a report at an equal budget, the results outside it and why: a line each of
            status ``left out``, without accuracies.
    """
    names = ["status", "reason", "seed", *RESULT_COLUMNS]
    if pairs is not None:
        names += [f"published_{name}" for name in _COMPARISON]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in (*_lines(rows, failures, pairs or ()), *starmap(_left_out, left_out or ())):
        writer.writerow({name: _text(value) for name, value in line.items()})
    return out.getvalue()


def _lines(
    rows: Sequence[Row], failures: Sequence[Failure], pairs: Sequence[Comparison]
) -> Iterator[dict[str, Any]]:
    for row in rows:
        papers = [_paper(pair) for pair in pairs if pair.row is row] or [{}]
        for paper in papers:
            prefixed = {f"published_{name}": value for name, value in paper.items()}
            yield {"status": "ok", **result_fields(row), **prefixed}
    yield from map(_failure, failures)


def _left_out(row: Row, reason: str) -> dict[str, Any]:
    known = {name: getattr(row, name) for name in _SETTING}
    return {**known, "status": "left out", "reason": reason}


def _failure(failure: Failure) -> dict[str, Any]:
    return {name: getattr(failure, name) for name in _FAILURE}


def _paper(pair: Comparison) -> dict[str, Any]:
    return {
        **{name: getattr(pair.paper, name) for name in _PAPER},
        "difference": pair.difference,
        "verdict": pair.verdict.outcome,
        "p": pair.verdict.p,
        "no_verdict_because": pair.verdict.reason,
        "differs": list(pair.differs),
    }


def _text(value: Any) -> Any:
    """Return the content of a CSV cell: several values are joined by semicolons, true is "true"."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return value
