"""The sections of results: a grid as papers print it, and a listing of the budgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.report.aggregate import Block, Row, blocks
from bench.report.method_styles import look
from bench.report.number_formats import MARKS, count, duration, ipc_name, listing, percent, size
from bench.support.document import Section, Sheet, make_sheet

ORACLE_MARK = "†"
_SETTING_COLUMNS = (
    ("Method", False), ("Mode", False), ("Profile", False), ("Changed", False),
    ("Distilled with", False),
)  # fmt: skip
_BUDGET_COLUMNS = (
    *_SETTING_COLUMNS, ("Protocol", False), ("IPC", True), ("Accuracy (%)", True),
    ("n", True), ("± over", False), ("Stored", True), ("Distinct images", True),
    ("Training steps", True), ("New distil steps", True), ("New distil time", True),
)  # fmt: skip


def result_sections(rows: Sequence[Row]) -> list[Section]:
    """Return one section per block: its grid, its budgets and what a reader must know."""
    found = blocks(rows)
    return [block_section(block, members, list(found)) for block, members in found.items()]


def block_section(block: Block, rows: Sequence[Row], all_blocks: Sequence[Block]) -> Section:
    """Return the section of one block."""
    marks = spread_marks(rows)
    return Section(
        title=block_title(block, all_blocks),
        lead=block_lead(block),
        sheets=(grid_sheet(rows, marks), budget_sheet(rows, marks)),
        notes=block_notes(block, rows, marks),
    )


def block_title(block: Block, all_blocks: Sequence[Block]) -> str:
    """Return the dataset and the judging architecture, and the data's hash if names clash."""
    twins = {b.dataset_sha256 for b in all_blocks if b.dataset == block.dataset}
    name = f"{block.dataset} [{block.dataset_sha256[:8]}]" if len(twins) > 1 else block.dataset
    return f"{name}, judged with {block.eval_arch}, protocol {block.protocol}"


def block_lead(block: Block) -> str:
    """Return how the accuracies were measured, in a sentence."""
    return (
        f"Test accuracy in percent on {count(block.n_test)} test images; "
        f"selection {block.selection}; {block.precision}."
    )


def grid_sheet(rows: Sequence[Row], marks: dict[str, str]) -> Sheet:
    """Return the grid: a row per method, mode and profile, a column per IPC."""
    ipcs = sorted({row.ipc for row in rows}, key=lambda i: float("inf") if i is None else i)
    lines: dict[tuple[str, ...], dict[int | None, str]] = {}
    for row in rows:
        lines.setdefault(_setting(row), {})[row.ipc] = accuracy_cell(row, marks)
    columns = list(_SETTING_COLUMNS)
    columns += [("All images" if ipc is None else f"IPC {ipc}", True) for ipc in ipcs]
    body = [(*line, *(found.get(ipc, "") for ipc in ipcs)) for line, found in lines.items()]
    return make_sheet("Accuracy", columns, body).without(_silent(rows))


def budget_sheet(rows: Sequence[Row], marks: dict[str, str]) -> Sheet:
    """Return the listing: a row per result, with all that it was given."""
    body = [
        (
            *_setting(row), row.protocol, ipc_name(row.ipc), accuracy_cell(row, marks), str(row.n),
            row.varies, size(row.stored_bytes), count(row.distinct_images),
            count(row.training_steps), new_steps(row), new_time(row),
        )
        for row in rows
    ]  # fmt: skip
    sheet = make_sheet("Budgets", _BUDGET_COLUMNS, body, wide=True, notes=_cost_notes(rows))
    return sheet.without(_silent(rows))


def accuracy_cell(row: Row, marks: dict[str, str]) -> str:
    """Return ``48.3 ± 0.4`` with the marks that its notes explain."""
    oracle = ORACLE_MARK if row.selection == "test-oracle" else ""
    return f"{percent(row.mean, row.std)}{oracle}{marks.get(row.varies, '')}"


def new_steps(row: Row) -> str:
    """Return the distillation steps this row added, or that it added none."""
    return "0 (shared)" if row.shared else count(row.new_distil_steps)


def new_time(row: Row) -> str:
    """Return the distillation time this row added."""
    return "0 (shared)" if row.shared else duration(row.new_distil_seconds)


def spread_marks(rows: Sequence[Row]) -> dict[str, str]:
    """Return a mark for each reading of ``±`` but the commonest, which needs none."""
    ranked = [varies for varies, _ in Counter(row.varies for row in rows).most_common()]
    return {v: MARKS[i % len(MARKS)] for i, v in enumerate(ranked[1:])} | {ranked[0]: ""}


def block_notes(block: Block, rows: Sequence[Row], marks: dict[str, str]) -> list[str]:
    """Return what a reader must know before quoting a number of the block."""
    counts = {row.varies: row.n for row in rows}
    usual = next(varies for varies, mark in marks.items() if not mark)
    told = f"{usual} (n = {counts[usual]}){' unless marked' if len(marks) > 1 else ''}."
    spread = "± is the sample standard deviation over all nets of all seeds pooled"
    notes = [
        f"{spread}: {told}" if max(counts.values()) > 1 else f"No spread is known: {told}",
        *(f"{mark} {v} (n = {counts[v]})." for v, mark in marks.items() if mark),
    ]
    if block.selection == "test-oracle":
        notes.append(f"{ORACLE_MARK} The epoch was chosen on the test set: an optimistic number.")
    if block.dataset_note:
        notes.append(f"{block.dataset}: {block.dataset_note.rstrip('.')}.")
    return [*notes, *_profile_notes(rows)]


def _profile_notes(rows: Sequence[Row]) -> list[str]:
    profiles = {row.profile for row in rows}
    other = [p for p in dict.fromkeys(row.profile for row in rows) if p not in ("paper", "any")]
    notes = []
    if other:
        notes.append(f"Profile {listing(other)}: not the parameters of the method's paper.")
    if "any" in profiles:
        notes.append("Profile any: the method has the same parameters in every profile.")
    return notes


def _cost_notes(rows: Sequence[Row]) -> list[str]:
    notes = [
        "Distillation is per seed and includes what the method starts from; times are means, on "
        f"{listing(row.device for row in rows)}."
    ]
    if any(row.shared for row in rows):
        notes.append("0 (shared): an artefact that an earlier row has paid for serves this one.")
    return notes


def _setting(row: Row) -> tuple[str, str, str, str, str]:
    return look(row.method).label, row.mode, row.profile, row.changed, row.arch


def _silent(rows: Sequence[Row]) -> set[str]:
    """Return the setting's columns that would say nothing in these rows."""
    changed = any(row.changed for row in rows)
    other_arch = any(row.arch not in ("", row.eval_arch) for row in rows)
    return {n for n, used in (("Changed", changed), ("Distilled with", other_arch)) if not used}
