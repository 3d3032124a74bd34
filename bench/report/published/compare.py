"""Our results beside published ones: pairs, their differences, and what can be said of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report.number_formats import as_printed, ipc_name, percent, probability, signed
from bench.report.published.match import Key, differs, match_ours, match_theirs
from bench.report.published.read import Published
from bench.report.published.verdicts import LEVEL, Candidate, Verdict, verdicts
from bench.report.row import Row
from bench.report.threads import thread_notes
from bench.support.document import Section, make_sheet

_COLUMNS = (
    ("Method", False), ("Mode", False), ("IPC", True), ("Profile", False), ("Protocol", False),
    ("Ours (%)", True), ("Paper (%)", True), ("Ours − paper", True), ("Source", True),
    ("Verdict", False), ("We differ in", False),
)  # fmt: skip
_TITLE = "Beside published numbers"
_NO_PAIRS = "No published number has the same dataset, method, IPC and evaluating architecture."
_LEAD = "Each source has its own row; none is averaged."
_NOTE = (
    "Verdict: a t test over our seeds, in which the paper's ± is the standard deviation over as "
    "many distilled sets as its source states, else of one set; p is adjusted for all tests of "
    f"this report (Holm), and below {LEVEL} the two differ. No difference shown does not mean that "
    "there is none. There is no verdict (none) of one seed, without a ± in print, or where "
    "anything is known to differ."
)


@dataclass(frozen=True)
class Comparison:
    """One of our results and one published number for the same setting.

    Attributes:
        row: ours.
        paper: theirs.
        differs: how ours was made or measured otherwise; empty if nothing is known to differ.
        verdict: what can be said of their difference.
    """

    row: Row
    paper: Published
    differs: tuple[str, ...]
    verdict: Verdict

    @property
    def difference(self) -> float:
        """Ours minus theirs, in percentage points."""
        return self.row.mean - self.paper.accuracy


def compare(rows: Iterable[Row], numbers: Sequence[Published]) -> list[Comparison]:
    """Return pairs of a result and a published number for the same setting.

    Their verdicts hold together: p values are adjusted for the number of pairs that are tested.
    """
    index: dict[Key, list[Published]] = {}
    for number in numbers:
        index.setdefault(match_theirs(number), []).append(number)
    pairs = [(row, paper) for row in rows for paper in index.get(match_ours(row), [])]
    different = [differs(row, paper) for row, paper in pairs]
    said = verdicts([
        Candidate(row.seed_means, paper.accuracy, paper.std, paper.sets, known)
        for (row, paper), known in zip(pairs, different, strict=True)
    ])  # fmt: skip
    return [
        Comparison(row, paper, known, verdict)
        for (row, paper), known, verdict in zip(pairs, different, said, strict=True)
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
            pair.row.protocol, percent(pair.row.mean, pair.row.plus_minus),
            as_printed(pair.paper.accuracy, pair.paper.std),
            signed(pair.difference), f"({sources.index(_source(pair.paper)) + 1})",
            _verdict(pair.verdict), "; ".join(pair.differs),
        )
        for pair in pairs
    ]  # fmt: skip
    return Section(
        f"{_TITLE}: {dataset}, evaluated with {eval_arch}",
        _LEAD,
        (make_sheet("Ours and theirs", _COLUMNS, body),),
        [
            *(f"({i}) {source}." for i, source in enumerate(sources, start=1)),
            _NOTE,
            *thread_notes(pair.row for pair in pairs),
            *_defects(pairs),
        ],
    )


def _verdict(verdict: Verdict) -> str:
    if verdict.p is None:
        return f"{verdict.outcome}: {verdict.reason}"
    sign = "" if probability(verdict.p).startswith("<") else "= "
    return f"{verdict.outcome} (p {sign}{probability(verdict.p)})"


def _defects(pairs: Sequence[Comparison]) -> list[str]:
    """Return a note on the results that differ although no reason is known."""
    names = dict.fromkeys(
        f"{pair.row.style.label} at IPC {ipc_name(pair.row.ipc)}"
        for pair in pairs if pair.verdict.outcome == "differs"
    )  # fmt: skip
    return [f"Nothing known explains {', '.join(names)}: look for a defect."] if names else []


def _source(paper: Published) -> str:
    parts = (f"{paper.reported_in}, evaluated with {paper.eval_arch}", paper.source,
             paper.protocol_note)  # fmt: skip
    return "; ".join(part for part in parts if part)
