"""The notes below a paper's table, and the letters that refer to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.ledger.rows import Failure
from bench.report.chance import chance_notes
from bench.report.number_formats import listing, plural
from bench.report.paper.layout import Quantity
from bench.report.paper.model import SYMBOLS, Entry, Note, State
from bench.report.paper.names import arch_label, dataset_facts
from bench.report.result_tables import ONE_SEED, ORACLE_MARK, SPREAD_NOTES, cost_notes
from bench.report.row import Row
from bench.report.threads import thread_notes

# Unicode has no superscript q, so no mark does.
_LETTERS = "abcdefghijklmnoprstuvwxyz"
_STATES = {
    State.MISSING: "not computed yet",
    State.FAILED: "failed",
    State.SKIPPED: "skipped: the method does not apply",
    State.BUSY: "being computed by another run",
    State.NOT_AVAILABLE: "not available here: the dataset is to be imported",
    State.NOT_APPLICABLE: "nothing to compute here",
}


PUBLISHED = "Published numbers were measured as their sources say, which is often not as ours."
BEST_ON_TEST = "May be the best of several evaluations on the test set."


class Marks:
    """Gives each sentence a letter, in the order in which they are first needed."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """Return the mark of a sentence: a, b, ..., z, then aa, ab, ..."""
        if text not in self._marks:
            number, letters = len(self._marks), ""
            while number >= 0:
                letters = _LETTERS[number % len(_LETTERS)] + letters
                number = number // len(_LETTERS) - 1
            self._marks[text] = letters
        return self._marks[text]

    def notes(self) -> list[Note]:
        """Return the sentences with their marks."""
        return [Note(mark, text) for text, mark in self._marks.items()]


def legend(entries: Iterable[Entry]) -> list[Note]:
    """Return what the symbols in the place of numbers mean, and how the best are marked."""
    shown = list(entries)
    states = {entry.state for entry in shown}
    parts = [f"{SYMBOLS[state]} {text}" for state, text in _STATES.items() if state in states]
    notes = [Note("", "; ".join(parts) + ".")] if parts else []
    if any(entry.place == 2 for entry in shown):
        notes.insert(
            0, Note("", "Bold: the best of our results in a column; underlined: the next.")
        )
    return notes


def table_notes(rows: Sequence[Row], quantity: Quantity, *, published: bool) -> list[Note]:
    """Return what is to be known of all results of a table: spread, selection, data, profiles.

    Args:
        rows: the results.
        quantity: what the table shows of them.
        published: whether numbers of papers stand beside accuracies.
    """
    notes = []
    if quantity == "time":
        notes += cost_notes(rows) if rows else []
    elif rows:
        ranges = listing(sorted({row.varies for row in rows}))
        known = any(row.plus_minus is not None for row in rows)
        notes.append(
            f"{SPREAD_NOTES[rows[0].spread] if known else 'No spread is known'}: {ranges}."
        )
        if any(row.error_over == "networks" for row in rows):
            notes.append(ONE_SEED)
        notes += chance_notes(rows)
    if any(row.selection == "test-oracle" for row in rows):
        mark = f"{ORACLE_MARK} " if quantity == "accuracy" else ""
        notes.append(f"{mark}The epoch was chosen on the test set: optimistic numbers.")
    notes += [*thread_notes(rows), *_data_notes(rows)]
    profiles = dict.fromkeys(row.profile for row in rows)
    other = [p for p in profiles if p not in ("paper", "any", "imported")]
    if other:
        notes.append(f"Profile {listing(other)}: not the parameters of the method's paper.")
    if published and quantity == "accuracy":
        notes.append(PUBLISHED)
    return [Note("", text) for text in notes]


def _data_notes(rows: Sequence[Row]) -> list[str]:
    """Return what sets data apart from the official ones; equal notes name all their datasets."""
    datasets: dict[str, list[str]] = {}
    for row in rows:
        if row.dataset_note:
            datasets.setdefault(row.dataset_note, []).append(dataset_facts(row.dataset).label)
    return [f"{listing(names)}: {text.rstrip('.')}." for text, names in datasets.items()]


def sentence(text: str) -> str:
    """Return a text as a sentence."""
    return f"{text[0].upper()}{text[1:]}."


def row_note(row: Row, *, shared: bool) -> str:
    """Return what sets a result apart: its changed parameters, and networks that diverged.

    Args:
        row: the result.
        shared: whether the whole line has the same changes, so that its name carries the note.
    """
    parts = [] if shared or not row.changed else [row.changed]
    if row.divergence:
        parts.append(f"{row.divergence}; the number is of the others")
    return "; ".join(parts)


def failure_note(failures: Sequence[Failure]) -> str:
    """Return why there is no number, each reason once, with the number of its seeds."""
    reasons: dict[tuple[str, str], list[int]] = {}
    for one in failures:
        reasons.setdefault((one.status, one.reason), []).append(one.seed)
    parts = []
    for (status, reason), seeds in reasons.items():
        if reason:
            several = f" ({plural(len(set(seeds)), 'seed')})" if len(set(seeds)) > 1 else ""
            parts.append(f"{status}{several}: {reason.rstrip('.')}")
    return "; ".join(parts)


def default_caption(
    datasets: Sequence[str], archs: Sequence[str], protocol: str, *, others: bool
) -> str:
    """Return a caption that names the datasets, the architectures and the protocol.

    Args:
        datasets: their labels.
        archs: the registered names of what was evaluated with.
        protocol: of most lines; may be empty.
        others: whether some lines have another one.
    """
    caption = f"Test accuracy (%) on {_and(datasets)}"
    if archs:
        caption += f", evaluated with {_and([arch_label(arch) for arch in archs])}"
    if protocol:
        caption += f" under protocol {protocol}{' unless noted' if others else ''}"
    return caption


def time_caption(datasets: Sequence[str]) -> str:
    """Return the caption of a table of times."""
    return f"Time to distil on {_and(datasets)}, by what each number of images added"


def _and(names: Sequence[str]) -> str:
    *first, last = names or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last
