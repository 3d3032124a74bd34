"""Published numbers in a paper's table: one primary source for each, the others in notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.registry.presentation import declared_by
from bench.report.number_formats import as_printed, ipc_name
from bench.report.paper.layout import Placement
from bench.report.paper.lines import Column, Line, TableLine
from bench.report.paper.model import Entry, Heading, Kind, Number, State, empty
from bench.report.paper.notes import Marks
from bench.report.published.match import Key, match_names, match_theirs
from bench.report.published.read import Published
from bench.report.published.sources import cite_key


class PublishedNumbers:
    """Published numbers by what they were measured on.

    Args:
        numbers: in the order in which sources are preferred, all else being equal.
        preferred: keys of sources that come first, the first one before the second.
    """

    def __init__(self, numbers: Sequence[Published], preferred: Sequence[str] = ()) -> None:
        self._preferred = tuple(preferred)
        self._index: dict[Key, list[Published]] = {}
        for number in numbers:
            self._index.setdefault(match_theirs(number), []).append(number)

    def find(self, line: Line, column: Column) -> list[Published]:
        """Return the numbers for a line in a column; the primary one first.

        The primary source is a preferred one, if any; else one whose protocol is that of our
        line; else the first in the file, where the papers of the methods themselves stand first.
        """
        ipc = None if line.key.own_size else column.ipc
        numbers = self._index.get(match_names(column.dataset, line.label, ipc, column.eval_arch))
        return sorted(numbers or [], key=lambda number: self._order(number, line))

    def _order(self, number: Published, line: Line) -> tuple[int, bool]:
        key = cite_key(number)
        chosen = self._preferred.index(key) if key in self._preferred else len(self._preferred)
        usual = declared_by(line.key.method).published_protocol or "default"
        ours = line.key.protocol.rsplit("-v", 1)[0]
        return chosen, (number.protocol or usual) != ours


def add_published(
    lines: Sequence[TableLine],
    columns: Sequence[Column],
    published: PublishedNumbers,
    placement: Placement,
    marks: Marks,
) -> list[TableLine]:
    """Return the lines of a table with published numbers under or beside ours.

    Under ours, one line follows all lines of a method. Beside ours, they stand at the first line
    of the method.
    """
    result = []
    for index, shown in enumerate(lines):
        line = shown.line
        if line is None:
            result.append(shown)
            continue
        labels = [each.line.label for each in lines[index + 1 :] if each.line is not None]
        earlier = [each.line.label for each in lines[:index] if each.line is not None]
        if placement == "beside" and line.label not in earlier:
            shown = _beside(shown, line, columns, published, marks)
        result.append(shown)
        if placement == "under" and line.label not in labels:
            result += _under(line, columns, published, marks)
    return result


def _under(
    line: Line, columns: Sequence[Column], published: PublishedNumbers, marks: Marks
) -> list[TableLine]:
    places = [published.find(line, column) for column in columns]
    if not any(places):
        return []
    sources = {cite_key(numbers[0]) for numbers in places if numbers}
    common = sources.pop() if len(sources) == 1 else ""
    entries, covered = [], ""
    for column, numbers in zip(columns, places, strict=True):
        if line.key.own_size and column.dataset == covered:
            entries.append(empty(State.COVERED))
        elif numbers:
            own = _number(numbers[0], marks)
            entries.append(
                Entry(
                    State.OK, own.text, own.value, own.spread, marks=own.marks,
                    cite="" if own.cite == common else own.cite,
                )
            )  # fmt: skip
        else:
            entries.append(empty(State.NOT_PUBLISHED))
        covered = column.dataset
    own_marks = _line_marks(columns, places, line, marks)
    heading = Heading((f"{line.label}, published",), Kind.PUBLISHED, own_marks, common)
    return [TableLine(heading, entries)]


def _beside(
    shown: TableLine,
    line: Line,
    columns: Sequence[Column],
    published: PublishedNumbers,
    marks: Marks,
) -> TableLine:
    places = [published.find(line, column) for column in columns]
    entries = [
        replace(entry, published=_number(numbers[0], marks))
        if numbers and entry.state is not State.COVERED
        else entry
        for entry, numbers in zip(shown.entries, places, strict=True)
    ]
    own_marks = (*shown.heading.marks, *_line_marks(columns, places, line, marks))
    return TableLine(replace(shown.heading, marks=own_marks), entries, line)


def _line_marks(
    columns: Sequence[Column], places: Sequence[Sequence[Published]], line: Line, marks: Marks
) -> tuple[str, ...]:
    notes = (_best_on_test(places, line), _others(columns, places, line))
    return tuple(marks.mark(note) for note in notes if note)


def _number(number: Published, marks: Marks) -> Number:
    key = cite_key(number)
    mark = "" if key else marks.mark(f"Published in {number.reported_in}, {number.source}.")
    text = as_printed(number.accuracy, number.std)
    return Number(text, number.accuracy, number.std, key, (mark,) if mark else ())


def _others(columns: Sequence[Column], places: Sequence[Sequence[Published]], line: Line) -> str:
    """Return what other sources print than the primary one, in a sentence; often nothing."""
    parts = []
    for column, numbers in zip(columns, places, strict=True):
        texts: dict[str, list[Published]] = {}
        for number in numbers:
            texts.setdefault(as_printed(number.accuracy, number.std), []).append(number)
        values = [f"{text} {_where(members)}" for text, members in list(texts.items())[1:]]
        if values:
            ipc = "" if line.key.own_size else f" IPC {ipc_name(column.ipc)}"
            part = f"{column.label}{ipc}: {', '.join(values)}"
            if part not in parts:
                parts.append(part)
    return f"{line.label}, other sources: {'; '.join(parts)}." if parts else ""


def _where(numbers: Sequence[Published]) -> str:
    keys = dict.fromkeys(cite_key(number) for number in numbers)
    others = [f"({n.reported_in}, {n.source})" for n in numbers if not cite_key(n)]
    cited = [f"[@{','.join(filter(None, keys))}]"] if any(keys) else []
    return " ".join(cited + others)


def _best_on_test(places: Sequence[Sequence[Published]], line: Line) -> str:
    if all(not numbers or numbers[0].selection != "test-oracle" for numbers in places):
        return ""
    return f"{line.label}, published: may be the best of several evaluations on the test set."
