"""DD-Ranking's scores as a section of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.comparison.dd_ranking import WITH_AUGMENTATION, WITHOUT_AUGMENTATION, ScoreLine
from bench.report.comparison.difference import INTERVALS, Difference
from bench.report.number_formats import bounded, ipc_name, listing, signed
from bench.report.threads import thread_notes
from bench.support.document import Section, make_sheet

# More results than these are counted where a sentence is about them.
_NAMED = 3
_SCORE_COLUMNS = (
    ("Method", False), ("Dataset", False), ("IPC", True), ("HLR", True), ("IOR", True),
    ("LRS", True), ("ARS", True), ("Seeds", True),
)  # fmt: skip
_SCORES = (
    "DD-Ranking's scores (arXiv:2505.13300): HLR, hard labels on the whole dataset less those on "
    "the distilled set, and IOR, the distilled set less random images, in percentage points; LRS "
    "and ARS in [0, 1], of equal weights, on fractions, as means over seeds with 95 % intervals."
)
_ARS = (
    f"ARS is of the differences to random images under {WITH_AUGMENTATION} (with augmentation) "
    f"and {WITHOUT_AUGMENTATION} (without), and stands where the first does."
)


def score_section(title: str, lines: Sequence[ScoreLine]) -> Section:
    """Return the scores of results that are measured alike, with what they mean.

    Args:
        title: of the section.
        lines: a score line for each result.
    """
    rows = [
        (
            line.label, line.dataset, ipc_name(line.ipc), _points(line.hlr), _points(line.ior),
            _score(line.lrs), _score(line.ars), str(line.seeds),
        )
        for line in lines
    ]  # fmt: skip
    sheet = make_sheet("Scores", _SCORE_COLUMNS, rows)
    absent = {name for name in ("LRS", "ARS") if all(not row[_index(name)] for row in rows)}
    ars = [] if "ARS" in absent else [_ARS]
    notes = [INTERVALS, *ars, *thread_notes(lines), *_why_no_scores(lines)]
    return Section(title, _SCORES, (sheet.without(absent),), notes)


def _index(header: str) -> int:
    return [name for name, _ in _SCORE_COLUMNS].index(header)


def _why_no_scores(lines: Sequence[ScoreLine]) -> list[str]:
    """Return a sentence for each score and reason; JSON and CSV have the reason of each result."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        where = f"{line.label} ({line.dataset}, IPC {ipc_name(line.ipc)})"
        for score, reason in (("LRS", line.no_lrs), ("ARS", line.no_ars)):
            if reason:
                reasons.setdefault((score, reason), []).append(where)
    return [
        f"No {score} of {_some(where, len(lines))}: what is missing is {reason}."
        for (score, reason), where in reasons.items()
    ]


def _some(names: Sequence[str], every: int) -> str:
    if len(names) == every:
        return "any result here"
    return listing(names) if len(names) <= _NAMED else f"{len(names)} of {every} results"


def _points(value: float | None) -> str:
    return "" if value is None else signed(value)


def _score(score: Difference | None) -> str:
    return "" if score is None else bounded(score.mean, score.low, score.high, 3)
