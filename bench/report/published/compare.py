"""Our results beside published ones: pairs, their differences, and what else differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import stdev

from bench.report.aggregate import Row
from bench.report.number_formats import as_printed, ipc_name, percent, signed
from bench.report.published.match import Key, differs, match_ours, match_theirs
from bench.report.published.read import Published
from bench.support.document import Section, make_sheet

# A difference of more standard errors than this is marked.
_FAR = 3.0
_COLUMNS = (
    ("Method", False), ("Mode", False), ("IPC", True), ("Profile", False), ("Protocol", False),
    ("Ours (%)", True), ("Paper (%)", True), ("Ours − paper", True), ("Source", True),
    ("We differ in", False),
)  # fmt: skip
_TITLE = "Beside published numbers"
_NO_PAIRS = "No published number has the same dataset, method, IPC and evaluating architecture."
_LEAD = (
    "Each source has its own row; none is averaged. A difference with anything in the last column "
    "is no verdict on a reproduction."
)


@dataclass(frozen=True)
class Comparison:
    """One of our results and one published number for the same setting.

    Attributes:
        row: ours.
        paper: theirs.
        differs: how our result was measured otherwise; empty if nothing is known to differ.
    """

    row: Row
    paper: Published
    differs: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Ours minus theirs, in percentage points."""
        return self.row.mean - self.paper.accuracy

    @property
    def standard_errors(self) -> float | None:
        """How many standard errors the two lie apart; ``None`` if ours is of a single network.

        Ours is :func:`standard_error`. The paper's ± counts as one of its, which is generous: few
        say over how many networks it ranges, or give one at all.
        """
        ours = standard_error(self.row)
        if ours is None:
            return None
        both = math.hypot(ours, self.paper.std or 0.0)
        return abs(self.difference) / both if both else math.inf

    @property
    def is_far(self) -> bool:
        """Whether the two lie more than three standard errors apart."""
        apart = self.standard_errors
        return apart is not None and apart > _FAR and self.difference != 0


def standard_error(row: Row) -> float | None:
    """Return the standard error of a result's mean, in percentage points; ``None`` of one network.

    The larger of two: that of the networks, pooled, and that of the seeds' means. Networks that
    share a distilled set say nothing of how much distilled sets vary.
    """
    if row.std is None:
        return None
    error = row.std / math.sqrt(row.n)
    if row.seeds > 1:
        error = max(error, stdev(row.seed_means) / math.sqrt(row.seeds))
    return error


def compare(rows: Iterable[Row], numbers: Sequence[Published]) -> list[Comparison]:
    """Return pairs of a result and a published number for the same setting."""
    index: dict[Key, list[Published]] = {}
    for number in numbers:
        index.setdefault(match_theirs(number), []).append(number)
    return [
        Comparison(row, paper, differs(row, paper))
        for row in rows
        for paper in index.get(match_ours(row), [])
    ]


def comparison_sections(pairs: Sequence[Comparison]) -> list[Section]:
    """Return the papers' numbers beside ours, a section per dataset and evaluating architecture."""
    if not pairs:
        return [Section(_TITLE, _NO_PAIRS)]
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for pair in pairs:
        groups.setdefault((pair.row.dataset, pair.row.eval_arch), []).append(pair)
    return [_section(*where, members) for where, members in groups.items()]


def _section(dataset: str, eval_arch: str, pairs: Sequence[Comparison]) -> Section:
    sources = list(dict.fromkeys(_source(pair.paper) for pair in pairs))
    body = [
        (
            pair.row.style.label, pair.row.mode, ipc_name(pair.row.ipc), pair.row.profile,
            pair.row.protocol, percent(pair.row.mean, pair.row.std),
            as_printed(pair.paper.accuracy, pair.paper.std),
            signed(pair.difference) + (" ‡" if pair.is_far else ""),
            f"({sources.index(_source(pair.paper)) + 1})", "; ".join(pair.differs),
        )
        for pair in pairs
    ]  # fmt: skip
    return Section(
        f"{_TITLE}: {dataset}, evaluated with {eval_arch}",
        _LEAD,
        (make_sheet("Ours and theirs", _COLUMNS, body),),
        [*(f"({i}) {source}." for i, source in enumerate(sources, start=1)), *_far_notes(pairs)],
    )


def _far_notes(pairs: Sequence[Comparison]) -> list[str]:
    """Return notes on the marked differences; those that nothing explains count as defects."""
    far = [pair for pair in pairs if pair.is_far]
    if not far:
        return []
    notes = [
        "‡ More than three standard errors apart: ours is over seeds or networks, whichever is "
        "larger; the paper's ± counts as one. The last column shows what may explain it."
    ]
    bare = [pair for pair in far if not pair.differs]
    if bare:
        named = (f"{p.row.style.label} at IPC {ipc_name(p.row.ipc)}" for p in bare)
        names = ", ".join(dict.fromkeys(named))
        notes.append(f"Nothing explains {names}: a defect until it is explained.")
    return notes


def _source(paper: Published) -> str:
    parts = (f"{paper.reported_in}, evaluated with {paper.eval_arch}", paper.source,
             paper.protocol_note)  # fmt: skip
    return "; ".join(part for part in parts if part)
