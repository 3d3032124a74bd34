"""Sections of results: a grid as papers print it, and a table of budgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.ledger.cell import IMPORTED
from bench.ledger.rows import Conditions
from bench.report.chance import chance_notes
from bench.report.number_formats import (
    MARKS,
    count,
    duration,
    ipc_name,
    ipc_order,
    listing,
    percent,
    size,
)
from bench.report.row import Row, blocks
from bench.report.threads import thread_notes
from bench.support.document import Section, Sheet, make_sheet

ORACLE_MARK = "†"
DIVERGED = (
    "Diverged: networks of which a loss, a weight or an output was not finite; mean, ± and n are "
    "over the others."
)
SPREAD_NOTES = {
    "sd": "± is the sample standard deviation over all nets of all seeds pooled",
    "se": "± is the standard error of the mean, from the means of the seeds",
    "ci95": "± is half the 95 % interval of the mean, from the means of the seeds by Student's t",
}
ONE_SEED = (
    "Of a single seed, and of one set for all seeds, ± is over networks only: it does not show how "
    "much distilled sets vary."
)
# Profiles that need no warning.
_OWN = ("paper", "any", IMPORTED)


@dataclass(frozen=True)
class Column:
    """One column of the budgets: its header, and the text that it has for a result.

    Attributes:
        header: over the column.
        text: returns the text, given a result and the marks for what its ± ranges over.
        numeric: whether it is set flush right.
    """

    header: str
    text: Callable[[Row, Mapping[str, str]], str]
    numeric: bool = True


_SETTING = (
    Column("Method", lambda row, _: row.style.label, numeric=False),
    Column("Mode", lambda row, _: row.mode, numeric=False),
    Column("Profile", lambda row, _: row.profile, numeric=False),
    Column("Changed", lambda row, _: row.changed, numeric=False),
    Column("Distilled with", lambda row, _: row.arch, numeric=False),
    Column("Labels", lambda row, _: row.labels, numeric=False),
    Column("Origin", lambda row, _: row.origin, numeric=False),
)
_BUDGETS = (
    *_SETTING,
    Column("Protocol", lambda row, _: row.protocol, numeric=False),
    Column("IPC", lambda row, _: ipc_name(row.ipc)),
    Column("Accuracy (%)", lambda row, marks: accuracy_cell(row, marks)),
    Column("n", lambda row, _: str(row.n)),
    Column("± over", lambda row, _: row.varies, numeric=False),
    Column("Stored", lambda row, _: size(row.stored_bytes)),
    Column("Distinct images", lambda row, _: count(row.distinct_images)),
    Column("Training steps", lambda row, _: count(row.training_steps)),
    Column("New distil steps", lambda row, _: new_steps(row)),
    Column("New distil time", lambda row, _: new_time(row)),
)


def result_sections(rows: Sequence[Row]) -> list[Section]:
    """Return a section for each set of conditions: grid, budgets and what a reader must know."""
    sorted_rows = blocks(rows)
    return [
        block_section(block, members, list(sorted_rows)) for block, members in sorted_rows.items()
    ]


def block_section(
    block: Conditions, rows: Sequence[Row], all_blocks: Sequence[Conditions]
) -> Section:
    """Return the section of one block."""
    marks = spread_marks(rows)
    return Section(
        title=block_title(block, all_blocks),
        lead=block_lead(block),
        sheets=(grid_sheet(rows, marks), budget_sheet(rows, marks)),
        notes=block_notes(block, rows, marks),
    )


def block_title(block: Conditions, all_blocks: Sequence[Conditions]) -> str:
    """Return dataset, evaluating architecture and protocol, and the data's hash if names clash."""
    name = data_name(block, all_blocks)
    return f"{name}, evaluated with {block.eval_arch}, protocol {block.protocol}"


def data_name(block: Conditions, all_blocks: Iterable[Conditions]) -> str:
    """Return the name of a dataset, with the beginning of its hash if others have the same name."""
    twins = {b.dataset_sha256 for b in all_blocks if b.dataset == block.dataset}
    return f"{block.dataset} [{block.dataset_sha256[:8]}]" if len(twins) > 1 else block.dataset


def block_lead(block: Conditions) -> str:
    """Return how the accuracies were measured, in a sentence."""
    return (
        f"Test accuracy in percent on {count(block.n_test)} test images; "
        f"selection {block.selection}; {block.precision}."
    )


def grid_sheet(rows: Sequence[Row], marks: Mapping[str, str]) -> Sheet:
    """Return the grid: a row per method, mode and profile, a column per IPC."""
    ipcs = sorted({row.ipc for row in rows}, key=ipc_order)
    lines: dict[tuple[str, ...], dict[int | None, str]] = {}
    for row in rows:
        setting = tuple(column.text(row, marks) for column in _SETTING)
        lines.setdefault(setting, {})[row.ipc] = accuracy_cell(row, marks)
    columns = [(column.header, column.numeric) for column in _SETTING]
    columns += [("All images" if ipc is None else f"IPC {ipc}", True) for ipc in ipcs]
    body = [(*line, *(cells.get(ipc, "") for ipc in ipcs)) for line, cells in lines.items()]
    return make_sheet("Accuracy", columns, body).without(_uninformative(rows))


def budget_sheet(rows: Sequence[Row], marks: Mapping[str, str]) -> Sheet:
    """Return the budgets: a row per result, with all that it was given."""
    columns = [(column.header, column.numeric) for column in _BUDGETS]
    body = [[column.text(row, marks) for column in _BUDGETS] for row in rows]
    sheet = make_sheet("Budgets", columns, body, wide=True, notes=cost_notes(rows))
    return sheet.without(_uninformative(rows))


def accuracy_cell(row: Row, marks: Mapping[str, str]) -> str:
    """Return ``48.3 ± 0.4`` with the marks that its notes explain, and how many diverged."""
    number = f"{marked_percent(row)}{marks.get(row.varies, '')}"
    return f"{number} ({row.divergence})" if row.divergence else number


def marked_percent(row: Row) -> str:
    """Return ``48.3 ± 0.4``, with a mark if the step was chosen on the test set."""
    oracle = ORACLE_MARK if row.selection == "test-oracle" else ""
    return f"{percent(row.mean, row.plus_minus)}{oracle}"


def new_steps(row: Row) -> str:
    """Return the distillation steps this row added, or that it added none."""
    if row.origin == IMPORTED:
        return "not known"
    return "0 (shared)" if row.shared else count(row.new_distil_steps)


def new_time(row: Row) -> str:
    """Return the distillation time this row added."""
    if row.origin == IMPORTED:
        return "not known"
    return "0 (shared)" if row.shared else duration(row.new_distil_seconds)


def spread_marks(rows: Sequence[Row]) -> dict[str, str]:
    """Return a mark for each reading of ``±`` but the commonest, which needs none."""
    ranked = [varies for varies, _ in Counter(row.varies for row in rows).most_common()]
    return {v: MARKS[i % len(MARKS)] for i, v in enumerate(ranked[1:])} | {ranked[0]: ""}


def block_notes(block: Conditions, rows: Sequence[Row], marks: Mapping[str, str]) -> list[str]:
    """Return what a reader must know before quoting a number of the block."""
    counts = {row.varies: row.n for row in rows}
    usual = next(varies for varies, mark in marks.items() if not mark)
    unmarked = f"{usual} (n = {counts[usual]}){' unless marked' if len(marks) > 1 else ''}."
    spread = SPREAD_NOTES[rows[0].spread] if max(counts.values()) > 1 else "No spread is known"
    notes = [
        f"{spread}: {unmarked}",
        *(f"{mark} {v} (n = {counts[v]})." for v, mark in marks.items() if mark),
    ]
    if any(row.error_over == "networks" for row in rows):
        notes.append(ONE_SEED)
    if block.selection == "test-oracle":
        notes.append(f"{ORACLE_MARK} The epoch was chosen on the test set: an optimistic number.")
    if any(row.diverged for row in rows):
        notes.append(DIVERGED)
    notes += chance_notes(rows)
    if block.dataset_note:
        notes.append(f"{block.dataset}: {block.dataset_note.rstrip('.')}.")
    return [*notes, *thread_notes(rows), *_profile_notes(rows)]


def _profile_notes(rows: Sequence[Row]) -> list[str]:
    profiles = {row.profile for row in rows}
    other = [p for p in dict.fromkeys(row.profile for row in rows) if p not in _OWN]
    notes = []
    if IMPORTED in profiles:
        notes.append(
            "Profile imported: a distilled set that was made elsewhere; its cost is not known."
        )
    if other:
        notes.append(f"Profile {listing(other)}: not the parameters of the method's paper.")
    if "any" in profiles:
        notes.append("Profile any: the method has the same parameters in every profile.")
    return notes


def cost_notes(rows: Sequence[Row]) -> list[str]:
    """Return what a reader must know of the cost of results."""
    notes = [
        "Distillation is per seed and includes what the method starts from; times are means, on "
        f"{listing(row.distil_device for row in rows)}."
    ]
    if any(row.shared for row in rows):
        notes.append("0 (shared): an artefact that an earlier row has paid for serves this one.")
    return notes


def _uninformative(rows: Sequence[Row]) -> set[str]:
    """Return the setting's columns that would say nothing in these rows."""
    changed = any(row.changed for row in rows)
    other_arch = any(row.arch not in ("", row.eval_arch) for row in rows)
    foreign = any(row.origin != "bench" for row in rows)
    soft = any(row.labels != "hard" for row in rows)
    informative = {
        "Changed": changed,
        "Distilled with": other_arch,
        "Labels": soft,
        "Origin": foreign,
    }
    return {name for name, used in informative.items() if not used}
