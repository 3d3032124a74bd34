"""Reports for programs: CSV and JSON with every column, nothing rounded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import starmap
from typing import Any

from bench.ledger.rows import Failure, Setting
from bench.report.published.compare import Comparison
from bench.report.row import RESULT_COLUMNS, Row, result_fields

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


@dataclass(frozen=True)
class Contents:
    """What a report for programs holds.

    Attributes:
        rows: the results.
        failures: cells without a result.
        pairs: comparisons with papers; ``None`` for none.
        left_out: of a report at an equal budget, the results outside it, which are listed without
            their accuracies, and why; ``None`` for a report of everything.
    """

    rows: Sequence[Row]
    failures: Sequence[Failure]
    pairs: Sequence[Comparison] | None = None
    left_out: Sequence[tuple[Row, str]] | None = None


def to_json(contents: Contents) -> str:
    """Return ``{"results": [...], "failures": [...]}``; a result's fields are those of ``Row``.

    With comparisons, each result lists its own under ``published``; what is left out is under
    ``left_out``.
    """
    results = []
    for row in contents.rows:
        result = result_fields(row)
        if contents.pairs is not None:
            result["published"] = [_paper(pair) for pair in contents.pairs if pair.row is row]
        results.append(result)
    report = {"results": results, "failures": [_failure(one) for one in contents.failures]}
    if contents.left_out is not None:
        report["left_out"] = [_left_out(row, reason) for row, reason in contents.left_out]
    return json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(contents: Contents) -> str:
    """Return a line per result, then one per cell without a result and per result left out.

    They are told apart by ``status``. With comparisons, a result has one line per source that it is
    compared with, and one line with empty ``published_`` columns if there is none.
    """
    names = ["status", "reason", "seed", *RESULT_COLUMNS]
    if contents.pairs is not None:
        names += [f"published_{name}" for name in _COMPARISON]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in _lines(contents):
        writer.writerow({name: _text(value) for name, value in line.items()})
    return out.getvalue()


def _lines(contents: Contents) -> Iterator[dict[str, Any]]:
    for row in contents.rows:
        papers = [_paper(pair) for pair in contents.pairs or () if pair.row is row] or [{}]
        for paper in papers:
            prefixed = {f"published_{name}": value for name, value in paper.items()}
            yield {"status": "ok", **result_fields(row), **prefixed}
    yield from map(_failure, contents.failures)
    yield from starmap(_left_out, contents.left_out or ())


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
