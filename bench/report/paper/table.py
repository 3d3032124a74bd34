"""One table in the form of papers: its lines and columns, and what stands in each place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bench.ledger.rows import Failure
from bench.report.number_formats import listing
from bench.report.paper.layout import Layout
from bench.report.paper.lines import (
    Column,
    Line,
    TableLine,
    add_failures,
    column_of,
    dataset_labels,
    line_labels,
    make_lines,
    sort_lines,
)
from bench.report.paper.model import Axis, Entry, Heading, Kind, PaperTable, State, empty
from bench.report.paper.names import arch_label, dataset_facts
from bench.report.paper.notes import (
    Marks,
    default_caption,
    failure_note,
    legend,
    row_note,
    sentence,
    table_notes,
    time_caption,
)
from bench.report.paper.published import PublishedNumbers, add_published
from bench.report.result_tables import marked_percent, new_time
from bench.report.row import Row

_LEVEL_NAMES = {"dataset": "Dataset", "ipc": "IPC", "eval_arch": "Evaluated with"}
# Of several cells without a number in one place, the first of these is shown.
_GRAVEST = ("failed", "busy", "missing", "skipped", "not available")


def paper_table(
    rows: Sequence[Row],
    failures: Sequence[Failure],
    layout: Layout,
    published: PublishedNumbers | None,
) -> PaperTable:
    """Return the results of one table, in the places that its layout gives them.

    Args:
        rows: its results.
        failures: its cells that have no result.
        layout: how it is arranged; it is not transposed yet.
        published: the numbers of papers to set beside ours; ``None`` leaves them out.
    """
    labels, marks = dataset_labels(rows), Marks()
    columns = _columns(rows, failures, labels, layout)
    places = dict.fromkeys((*columns, *(replace(column, ipc=None) for column in columns)))
    lines = add_failures(make_lines(rows, labels), failures, list(places))
    lines = sort_lines(lines, layout.methods)
    usual = _usual_protocol(lines)
    shown = [
        _method_line(line, name, columns, layout, usual, marks)
        for line, name in zip(lines, line_labels(lines), strict=True)
    ]
    if layout.quantity == "accuracy":
        _rank([line for line in shown if line.heading.kind is Kind.METHOD])
    if published is not None and layout.quantity == "accuracy":
        shown = add_published(shown, columns, published, layout.placement, marks)
    if layout.ratio:
        shown = [*_ratio_line(columns), *shown]
    levels = tuple(layout.columns)
    return PaperTable(
        name=layout.name,
        caption=layout.caption or _caption(rows, columns, lines, layout),
        rows=Axis(("Method",), tuple(line.heading for line in shown)),
        columns=Axis(
            tuple(_LEVEL_NAMES[level] for level in levels),
            tuple(Heading(tuple(_level(column, level) for level in levels)) for column in columns),
        ),
        entries=tuple(tuple(line.entries) for line in shown),
        notes=(
            *legend(entry for line in shown for entry in line.entries),
            *table_notes(rows, layout.quantity, published=_has_published(shown)), *marks.notes(),
        ),
    )  # fmt: skip


def _has_published(lines: Sequence[TableLine]) -> bool:
    return any(
        line.heading.kind is Kind.PUBLISHED or any(entry.published for entry in line.entries)
        for line in lines
    )


def _caption(
    rows: Sequence[Row], columns: Sequence[Column], lines: Sequence[Line], layout: Layout
) -> str:
    datasets = list(dict.fromkeys(column.label for column in columns))
    archs = list(dict.fromkeys(column.eval_arch for column in columns if column.eval_arch))
    if layout.quantity == "time":
        return time_caption(datasets)
    others = len({line.key.protocol for line in lines if line.key.protocol}) > 1
    caption = default_caption(datasets, archs, _usual_protocol(lines), others=others)
    precisions = listing(r.precision for r in rows if r.precision != "fp32")
    return f"{caption}, in {precisions}" if precisions else caption


def _usual_protocol(lines: Sequence[Line]) -> str:
    """Return the protocol of most lines; lines of others have a note."""
    counts = Counter(line.key.protocol for line in lines if line.key.protocol)
    return counts.most_common(1)[0][0] if counts else ""


def _columns(
    rows: Sequence[Row],
    failures: Sequence[Failure],
    labels: dict[tuple[str, str], str],
    layout: Layout,
) -> list[Column]:
    """Return the columns; a set with a size of its own has none where its dataset has others."""
    columns = {column_of(row, labels) for row in rows}
    archs = sorted({column.eval_arch for column in columns})
    for one in failures:
        named = {label for (name, _), label in labels.items() if name == one.dataset}
        for label in named or {dataset_facts(one.dataset).label}:
            for arch in [one.eval_arch] if one.eval_arch else archs or [""]:
                columns.add(Column(one.dataset, label, one.ipc, arch))
    sized = {(column.label, column.eval_arch) for column in columns if column.ipc is not None}
    return layout.sort_columns(
        column
        for column in columns
        if column.ipc is not None or (column.label, column.eval_arch) not in sized
    )


def _level(column: Column, level: str) -> str:
    if level == "dataset":
        return column.label
    if level == "ipc":
        return "own size" if column.ipc is None else str(column.ipc)
    return arch_label(column.eval_arch)


def _method_line(
    line: Line, name: str, columns: Sequence[Column], layout: Layout, usual: str, marks: Marks
) -> TableLine:
    changes = {row.changed for row in line.rows.values()}
    shared = len(changes) == 1 and not line.key.split
    notes = [f"Setting: {text}." for text in changes if shared and text]
    if line.key.protocol not in ("", usual):
        notes.append(f"Evaluated under protocol {line.key.protocol}.")
    heading = Heading(
        (name,),
        Kind.WHOLE if line.key.own_size else Kind.METHOD,
        tuple(marks.mark(note) for note in notes),
    )
    if not line.key.own_size:
        entries = [_entry(line, column, layout, marks, shared=shared) for column in columns]
        return TableLine(heading, entries, line)
    entries, before = [], None
    for column in columns:
        own = replace(column, ipc=None)
        entry = _entry(line, own, layout, marks, shared=shared)
        repeats = own == before and not layout.joins_archs
        entries.append(empty(State.COVERED) if repeats else entry)
        before = own
    return TableLine(heading, entries, line)


def _entry(line: Line, column: Column, layout: Layout, marks: Marks, *, shared: bool) -> Entry:
    row, failures = line.rows.get(column), line.failures.get(column, [])
    note = failure_note(failures)
    if row is not None and note:
        note = f"without a part of the seeds: {note}"
    if row is not None:
        note = "; ".join(filter(None, (row_note(row, shared=shared), note)))
        own = (marks.mark(sentence(note)),) if note else ()
        if layout.quantity == "time":
            return Entry(State.OK, new_time(row), row.new_distil_seconds, marks=own, row=row)
        text = marked_percent(row)
        return Entry(State.OK, text, row.mean, row.plus_minus, marks=own, row=row)
    if not failures:
        return empty(State.NOT_APPLICABLE if layout.complete else State.MISSING)
    states = {one.status for one in failures}
    state = State(next((each for each in _GRAVEST if each in states), "failed"))
    return empty(state, (marks.mark(sentence(note)),) if note else ())


def _rank(lines: Sequence[TableLine]) -> None:
    """Give the best and the second of each column their places, by the mean as it is printed."""
    for index in range(len(lines[0].entries) if lines else 0):
        means = [
            round(entry.value, 1)
            for line in lines
            if (entry := line.entries[index]).value is not None
        ]
        order = sorted(set(means), reverse=True)[:2]
        if len(means) < 2:  # one number is not the best of any
            continue
        for line in lines:
            value = line.entries[index].value
            if value is not None and round(value, 1) in order:
                place = order.index(round(value, 1)) + 1
                line.entries[index] = replace(line.entries[index], place=place)


def _ratio_line(columns: Sequence[Column]) -> list[TableLine]:
    """Return a line that says how many of the training images the IPC are, where it is known."""
    entries = []
    for column in columns:
        per_class = dataset_facts(column.dataset).per_class
        if per_class is None or column.ipc is None:
            entries.append(empty(State.NOT_APPLICABLE))
            continue
        ratio = 100 * column.ipc / per_class
        entries.append(Entry(State.OK, f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}", ratio))
    if all(entry.value is None for entry in entries):
        return []
    return [TableLine(Heading(("Ratio (%)",), Kind.RATIO), entries)]
