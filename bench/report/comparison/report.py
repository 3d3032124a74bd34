"""Comparisons in any format: pairs of contenders, or all contenders over a grid."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.report.comparison.dd_ranking import ScoreLine
from bench.report.comparison.difference import INTERVALS, Difference
from bench.report.comparison.grid import GridLine, Rank
from bench.report.comparison.pairs import Measured, Pair
from bench.report.comparison.score_section import score_section
from bench.report.latex import latex
from bench.report.number_formats import bounded, plural, probability, signed
from bench.report.tables import FORMATS
from bench.report.threads import thread_notes
from bench.support.document import Section, Sheet, make_sheet
from bench.support.errors import UnknownNameError
from bench.support.markdown import markdown

Items = Sequence[Pair] | Sequence[GridLine] | Sequence[ScoreLine]
_PAIR_COLUMNS = (
    ("A", False), ("B", False), ("Dataset", False), ("IPC", True), ("A (%)", True),
    ("B (%)", True), ("A − B", True), ("95 % interval", True), ("p", True), ("Seeds", True),
)  # fmt: skip
_GRID_COLUMNS = (
    ("Method", False), ("Cells", True), ("− random", True), ("p (random)", True),
    ("− best coreset", True), ("p (coreset)", True), ("Average rank", True),
)  # fmt: skip
_PAIRED = (
    "Accuracies in percent and differences in percentage points, over the seeds and networks that "
    "both have: the k-th network of a seed starts from the same weights in both."
)
_P = "p: a paired t test over seeds, adjusted for all tests of its table and column (Holm)."
_OVER_CELLS = (
    "A mean over cells is over those that both have; its seeds are those that all of these have."
)
_BEST = (
    "The best coreset is the best in each cell, by the accuracies that are compared, which favours "
    "coresets."
)
_NO_RANK = "No cell has a result of every method: name fewer methods for average ranks."


def comparison_sections(items: Items) -> list[Section]:
    """Return a section for each way of measuring."""
    sections = []
    for kind in dict.fromkeys(one.measured for one in items):
        own = [one for one in items if one.measured == kind]
        pairs = [one for one in own if isinstance(one, Pair)]
        lines = [one for one in own if isinstance(one, GridLine)]
        scores = [one for one in own if isinstance(one, ScoreLine)]
        sections += [_pair_section(kind, pairs)] if pairs else []
        sections += [_grid_section(kind, lines)] if lines else []
        sections += [score_section(_title("Scores", kind), scores)] if scores else []
    return sections


def render(name: str, items: Items, *, format: str) -> str:
    """Return pairs, lines over a grid or scores as text.

    Args:
        name: of the list in JSON.
        items: of one kind.
        format: one of :data:`bench.report.tables.FORMATS`.

    Raises:
        UnknownNameError: for another format.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if format in ("md", "latex"):
        sections = comparison_sections(items)
        return markdown(sections) if format == "md" else latex(sections)
    records = [_record(one) for one in items]
    if format == "json":
        return json.dumps({name: records}, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    flat = [_flat(record) for record in records]
    out = io.StringIO()
    names = dict.fromkeys(name for line in flat for name in line)
    writer = csv.DictWriter(out, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _record(one: Pair | GridLine | ScoreLine) -> dict[str, Any]:
    record = asdict(one)
    kind = record.pop("measured")._asdict()
    return {name: value for name, value in kind.items() if value or name != "data"} | record


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record whose parts have a column each: ``difference_low``."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{part}": inner for part, inner in value.items()}
        elif isinstance(value, list | tuple):
            flat[name] = "; ".join(map(str, value))
        elif value is not None:
            flat[name] = value
    return flat


def _title(what: str, kind: Measured) -> str:
    return (
        f"{what}: {f'{kind.data}, ' if kind.data else ''}evaluated with {kind.eval_arch}, "
        f"protocol {kind.protocol}, selection {kind.selection}, {kind.precision}"
    )


def _pair_section(kind: Measured, pairs: Sequence[Pair]) -> Section:
    single = [pair for pair in pairs if pair.cells == 1]
    over_all = [pair for pair in pairs if pair.cells > 1]
    sheets = [_pair_sheet("Each cell", single)] if single else []
    notes = [INTERVALS, _P, *thread_notes(pairs)]
    if over_all:
        sheets.append(_pair_sheet("Mean over cells", over_all))
        notes.insert(0, _OVER_CELLS)
    return Section(_title("A against B", kind), _PAIRED, sheets, notes)


def _pair_sheet(caption: str, pairs: Sequence[Pair]) -> Sheet:
    return make_sheet(
        caption,
        _PAIR_COLUMNS,
        [
            (
                pair.first, pair.second, pair.dataset, pair.ipc, f"{pair.first_mean:.1f}",
                f"{pair.second_mean:.1f}", *_difference(pair.difference),
                str(pair.difference.seeds),
            )
            for pair in pairs
        ],
    )  # fmt: skip


def _grid_section(kind: Measured, lines: Sequence[GridLine]) -> Section:
    rows = [
        (
            line.label, str(line.cells), *_baseline(line.to_random),
            *_baseline(line.to_coreset), _rank(line.rank),
        )
        for line in lines
    ]  # fmt: skip
    ranks = [line.rank for line in lines if line.rank is not None]
    rank = _rank_note(ranks) if ranks else _NO_RANK
    return Section(
        _title("Over the grid", kind), _PAIRED,
        (make_sheet("Against baselines, and ranks (with 95 % intervals)", _GRID_COLUMNS, rows),),
        [_OVER_CELLS, _BEST, INTERVALS, _P, rank, *thread_notes(lines)],
    )  # fmt: skip


def _rank_note(ranks: Sequence[Rank]) -> str:
    """Return among how many methods ranks are, and over what."""
    cells, seeds = ranks[0].cells, ranks[0].seeds
    over = plural(cells, "cell") + (f" and {plural(seeds, 'seed')}" if seeds else "")
    interval = "their intervals are over both" if ranks[0].low is not None else "without intervals"
    return (
        f"Ranks are among {plural(len(ranks), 'method')}, over the {over} that all of these have; "
        f"{interval}. A method with less than half of the cells has none."
    )


def _difference(one: Difference) -> tuple[str, str, str]:
    """Return a difference, its interval and its p; what is not known is empty."""
    p = "" if one.p is None else probability(one.p)
    ends = "" if one.low is None or one.high is None else f"{signed(one.low)} to {signed(one.high)}"
    return signed(one.mean), ends, p


def _baseline(one: Difference | None) -> tuple[str, str]:
    """Return a difference with its interval, and its p; empty without a baseline."""
    if one is None:
        return "", ""
    mean, ends, p = _difference(one)
    return f"{mean} ({ends})" if ends else mean, p


def _rank(rank: Rank | None) -> str:
    return "" if rank is None else bounded(rank.mean, rank.low, rank.high, 1)
