"""The lines and columns of a paper's table: which results stand in one line, and what it is called.

A line holds the results of one method under one mode, profile and so on. What was changed from the
profile may differ along a line, where no two results claim the same place: a note says so then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace

from bench.ledger.rows import Failure
from bench.registry.presentation import declared_by
from bench.report.method_styles import UNDECLARED_PLACE, mode_rank, profile_rank
from bench.report.paper.model import Entry, Heading
from bench.report.paper.names import arch_label, dataset_facts
from bench.report.row import Row


@dataclass(frozen=True)
class Column:
    """A column: where a result was measured.

    Attributes:
        dataset: its registered name.
        label: as papers write it, with the hash of its content where two share a name.
        ipc: images per class; ``None`` for a set with a size of its own.
        eval_arch: the architecture evaluated with.
    """

    dataset: str
    label: str
    ipc: int | None
    eval_arch: str


@dataclass(frozen=True)
class LineKey:
    """What the results of a line have in common.

    Attributes:
        own_size: whether the distilled set has a size of its own, and one number for every IPC.
        split: tells lines apart that would hold two results in one place; empty otherwise.
        others: as in :class:`bench.ledger.rows.Setting`.
    """

    method: str
    profile: str
    mode: str
    protocol: str = ""
    arch: str = ""
    labels: str = "hard"
    origin: str = "bench"
    own_size: bool = False
    split: str = ""


@dataclass
class Line:
    """A line: its results and its cells without one, by column.

    Attributes:
        key: what they have in common.
        label: the method's name as papers write it.
        rank: the method's place in tables; smaller comes first.
        rows: the results.
        failures: the cells that have no result, in the order in which they were given.
    """

    key: LineKey
    label: str
    rank: int
    rows: dict[Column, Row] = field(default_factory=dict)
    failures: dict[Column, list[Failure]] = field(default_factory=dict)


@dataclass
class TableLine:
    """A line of a table in the making.

    Attributes:
        heading: its name.
        entries: one per column.
        line: the results behind it; ``None`` where it shows none of ours.
    """

    heading: Heading
    entries: list[Entry]
    line: Line | None = None


def column_of(row: Row, labels: dict[tuple[str, str], str]) -> Column:
    """Return the column of a result; ``labels`` are those of :func:`dataset_labels`."""
    label = labels[row.dataset, row.dataset_sha256]
    return Column(row.dataset, label, row.ipc, row.eval_arch)


def dataset_labels(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """Return the label of each dataset by name and hash; the hash is in it if a name has two."""
    contents = dict.fromkeys((row.dataset, row.dataset_sha256) for row in rows)
    twins = Counter(name for name, _ in contents)
    return {
        (name, sha256): dataset_facts(name).label + (f" [{sha256[:8]}]" if twins[name] > 1 else "")
        for name, sha256 in contents
    }


def make_lines(rows: Sequence[Row], labels: dict[tuple[str, str], str]) -> list[Line]:
    """Return the lines of results, see :func:`sort_lines` for their order."""
    lines: dict[LineKey, Line] = {}
    for row in rows:
        key = LineKey(
            row.method, row.profile, row.mode, row.protocol, row.arch, row.labels, row.origin,
            own_size=row.ipc is None,
        )  # fmt: skip
        column = column_of(row, labels)
        if key in lines and column in lines[key].rows:
            key = replace(key, split=_changes(row))
        line = lines.setdefault(key, Line(key, row.style.label, row.style.rank))
        line.rows[column] = row
    return list(lines.values())


def add_failures(
    lines: list[Line], failures: Sequence[Failure], columns: Sequence[Column]
) -> list[Line]:
    """Return the lines with the cells that have no result; a line is added where there is none.

    A cell that failed before it was evaluated belongs to every line and column that needs it.
    """
    for one in failures:
        own = [line for line in lines if _concerns(one, line.key)]
        if not own:
            key = LineKey(one.method, one.profile, one.mode, one.protocol, own_size=one.ipc is None)
            own = [Line(key, *_declared(one.method))]
            lines.append(own[0])
        for line in own:
            for column in columns:
                if _is_at(one, column):
                    line.failures.setdefault(column, []).append(one)
    return lines


def line_labels(lines: Sequence[Line]) -> list[str]:
    """Return a name for each line: the method, and what tells it from others of that name."""
    names = []
    for line in lines:
        twins = [other.key for other in lines if other.label == line.label]
        parts = [] if line.key.mode in ("", "stored") else [line.key.mode]
        for name in ("profile", "protocol", "arch", "labels", "origin", "split"):
            value = getattr(line.key, name)
            if value and len({getattr(key, name) for key in twins}) > 1:
                parts.append(_shown(name, value))
        names.append(f"{line.label} ({', '.join(parts)})" if parts else line.label)
    return names


def _shown(name: str, value: str) -> str:
    if name == "arch":
        return f"with {arch_label(value)}"
    return f"{value} labels" if name == "labels" else value


def _changes(row: Row) -> str:
    version = f"version {row.method_version}"
    return ", ".join(filter(None, (row.changed or version, row.plugin_source)))


def _concerns(failure: Failure, key: LineKey) -> bool:
    return (
        (failure.method, failure.profile) == (key.method, key.profile)
        and (failure.ipc is None) == key.own_size
        and failure.mode in ("", key.mode)
        and (not failure.protocol or failure.protocol == key.protocol)
    )


def _is_at(failure: Failure, column: Column) -> bool:
    return (failure.dataset, failure.ipc) == (column.dataset, column.ipc) and (
        failure.eval_arch in ("", column.eval_arch)
    )


def _declared(method: str) -> tuple[str, int]:
    """Return the label and the place of a method that has no result."""
    declared = declared_by(method)
    place = declared.table_order
    return declared.label or method, UNDECLARED_PLACE if place is None else place


def sort_lines(lines: Sequence[Line], methods: Sequence[str]) -> list[Line]:
    """Return the lines in the order of tables: what has a size of its own comes last.

    Args:
        lines: in any order.
        methods: names in the order that was asked for; the others come after them.
    """

    def order(line: Line) -> tuple[object, ...]:
        key = line.key
        chosen = methods.index(key.method) if key.method in methods else len(methods)
        return (
            key.own_size, chosen, line.rank, key.method, profile_rank(key.profile),
            mode_rank(key.mode), key.mode, astuple(key),
        )  # fmt: skip

    return sorted(lines, key=order)
