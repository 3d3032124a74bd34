"""Published numbers alone, as tables: one line per number, or in the form of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.registry.registry import DATASETS
from bench.report.number_formats import as_printed, ipc_name
from bench.report.paper.layout import Layout
from bench.report.paper.lines import Column, TableLine
from bench.report.paper.model import Axis, Entry, Heading, Kind, Note, PaperTable, State
from bench.report.paper.names import dataset_facts
from bench.report.paper.notes import BEST_ON_TEST, PUBLISHED, Marks, sentence
from bench.report.paper.published import preferred_order, published_line
from bench.report.published.match import match_names, match_theirs
from bench.report.published.read import Published
from bench.report.published.sources import cite_key

_LIST = ("Accuracy (%)", "Source", "Where", "Distilled with")


def number_list(numbers: Sequence[Published]) -> PaperTable:
    """Return a table with a line for each number, in their order.

    Notes say how the numbers were measured.
    """
    marks = Marks()
    lines = []
    for number in numbers:
        notes = [sentence(number.protocol_note)] if number.protocol_note else []
        notes += [BEST_ON_TEST] if number.selection == "test-oracle" else []
        text = as_printed(number.accuracy, number.std)
        first = Entry(
            State.OK, text, number.accuracy, number.std, marks=tuple(map(marks.mark, notes))
        )
        source = Entry(State.OK, "" if cite_key(number) else number.source, cite=cite_key(number))
        texts = (number.reported_in, number.train_arch)
        lines.append((first, source, *(Entry(State.OK, each) for each in texts)))
    headings = (
        Heading((number.method, number.dataset, ipc_name(number.ipc), number.eval_arch))
        for number in numbers
    )
    return PaperTable(
        "published",
        "Published test accuracies",
        Axis(("Method", "Dataset", "IPC", "Evaluated with"), tuple(headings)),
        Axis(("",), tuple(Heading((name,)) for name in _LIST)),
        tuple(lines),
        tuple(marks.notes()),
    )


def published_tables(
    numbers: Sequence[Published], layout: Layout, preferred: Sequence[str] = ()
) -> list[PaperTable]:
    """Return published numbers with methods as lines, and datasets and IPC as columns.

    Numbers of different architectures stand in different tables. Of several sources of a number
    one is shown and the others are in a note.

    Args:
        numbers: in the order in which sources are preferred, all else being equal.
        layout: the order of datasets, IPC and columns; names are the registered ones.
        preferred: keys of sources that come first.
    """
    groups: dict[str, list[Published]] = {}
    for number in preferred_order(numbers, preferred):
        groups.setdefault(match_theirs(number)[3], []).append(number)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    tables = [_table(arch, members, layout) for arch, members in ordered]
    return [table.transpose() if layout.transposed else table for table in tables]


def _table(arch: str, numbers: Sequence[Published], layout: Layout) -> PaperTable:
    marks = Marks()
    at = {id(number): _column(number) for number in numbers}
    sized = {column.dataset for column in at.values() if column.ipc is not None}
    columns = layout.sort_columns(
        column for column in at.values() if column.ipc is not None or column.dataset not in sized
    )
    methods: dict[tuple[str, bool], list[Published]] = {}
    for number in numbers:
        methods.setdefault((match_theirs(number)[1], number.ipc is None), []).append(number)
    lines = []
    for (_, own_size), members in sorted(methods.items(), key=lambda each: each[0][1]):
        places = [
            [n for n in members if at[id(n)] == (replace(c, ipc=None) if own_size else c)]
            for c in columns
        ]
        kind = Kind.WHOLE if own_size else Kind.METHOD
        lines.append(
            published_line(members[0].method, kind, columns, places, marks, own_size=own_size)
        )
    return _arrange(numbers[0].eval_arch, arch, lines, columns, layout, marks)


def _arrange(
    name: str,
    arch: str,
    lines: Sequence[TableLine],
    columns: Sequence[Column],
    layout: Layout,
    marks: Marks,
) -> PaperTable:
    return PaperTable(
        name=f"published-{arch}",
        caption=layout.caption or f"Published test accuracy (%), evaluated with {name}",
        rows=Axis(("Method",), tuple(line.heading for line in lines)),
        columns=Axis(
            ("Dataset", "IPC"),
            tuple(Heading((column.label, ipc_name(column.ipc))) for column in columns),
        ),
        entries=tuple(tuple(line.entries) for line in lines),
        notes=(Note("", PUBLISHED), *marks.notes()),
    )


def _column(number: Published) -> Column:
    """Return the column of a number; a dataset that is registered here has its name."""
    plain = match_theirs(number)[0]
    for name in DATASETS.names():
        if match_names(name, "", None, "")[0] == plain:
            return Column(name, dataset_facts(name).label, number.ipc, "")
    return Column(plain, number.dataset, number.ipc, "")
