"""Published numbers in a paper's table: one primary source for each, the others in notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.registry.presentation import declared_by
from bench.report.number_formats import as_printed, ipc_name
from bench.report.paper.layout import Placement
from bench.report.paper.lines import Column, Line, TableLine
from bench.report.paper.model import Entry, Heading, Kind, Number, State, empty
from bench.report.paper.notes import BEST_ON_TEST, Marks
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
        self._index: dict[Key, list[Published]] = {}
        self._preferred = tuple(preferred)
        for number in numbers:
            self._index.setdefault(match_theirs(number), []).append(number)

    def find(self, line: Line, column: Column) -> list[Published]:
        """Return the numbers for a line in a column; the primary one first.

        The primary source is a preferred one, if any; else one whose protocol is that of our
        line; else the first in the file, where the papers of the methods themselves stand first.
        """
        ipc = None if line.key.own_size else column.ipc
        numbers = self._index.get(match_names(column.dataset, line.label, ipc, column.eval_arch))
        usual = declared_by(line.key.method).published_protocol or "default"
        ours = line.key.protocol.rsplit("-v", 1)[0]

        def order(number: Published) -> tuple[int, bool]:
            return _preference(number, self._preferred), (number.protocol or usual) != ours

        return sorted(numbers or [], key=order)


def preferred_order(numbers: Sequence[Published], preferred: Sequence[str]) -> list[Published]:
    """Return numbers with those of the preferred sources first, else in their order."""
    return sorted(numbers, key=lambda number: _preference(number, preferred))


def _preference(number: Published, preferred: Sequence[str]) -> int:
    key = cite_key(number)
    return preferred.index(key) if key in preferred else len(preferred)


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
    kind = Kind.PUBLISHED
    name = f"{line.label}, published"
    return [published_line(name, kind, columns, places, marks, own_size=line.key.own_size)]


def published_line(
    name: str,
    kind: Kind,
    columns: Sequence[Column],
    places: Sequence[Sequence[Published]],
    marks: Marks,
    *,
    own_size: bool,
) -> TableLine:
    """Return a line of published numbers.

    Args:
        name: of the line.
        kind: of the line.
        columns: of the table.
        places: the numbers at each column, the primary one first; often none.
        marks: receives the notes on other sources.
        own_size: whether a number is about all columns of its dataset.
    """
    sources = {cite_key(numbers[0]) for numbers in places if numbers}
    common = sources.pop() if len(sources) == 1 else ""
    entries: list[Entry] = []
    covered: Column | None = None
    for column, numbers in zip(columns, places, strict=True):
        at = replace(column, ipc=None)
        if own_size and at == covered:
            entries.append(empty(State.COVERED))
        elif numbers:
            own = _number(numbers[0], marks)
            cite = "" if own.cite == common else own.cite
            entries.append(
                Entry(State.OK, own.text, own.value, own.spread, marks=own.marks, cite=cite)
            )
        else:
            entries.append(empty(State.NOT_PUBLISHED))
        covered = at
    own_marks = _line_marks(name, columns, places, marks, own_size=own_size)
    return TableLine(Heading((name,), kind, own_marks, common), entries)


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
    own_size = line.key.own_size
    more = _line_marks(f"{line.label}, published", columns, places, marks, own_size=own_size)
    heading = replace(shown.heading, marks=(*shown.heading.marks, *more))
    return TableLine(heading, entries, line)


def _line_marks(
    name: str,
    columns: Sequence[Column],
    places: Sequence[Sequence[Published]],
    marks: Marks,
    *,
    own_size: bool,
) -> tuple[str, ...]:
    notes = (_best_on_test(name, places), _others(name, columns, places, own_size=own_size))
    return tuple(marks.mark(note) for note in notes if note)


def _number(number: Published, marks: Marks) -> Number:
    key = cite_key(number)
    mark = "" if key else marks.mark(f"Published in {number.reported_in}, {number.source}.")
    text = as_printed(number.accuracy, number.std)
    return Number(text, number.accuracy, number.std, key, (mark,) if mark else ())


def _others(
    name: str,
    columns: Sequence[Column],
    places: Sequence[Sequence[Published]],
    *,
    own_size: bool,
) -> str:
    """Return the means that other sources print than the primary one, in a sentence, or nothing."""
    parts = []
    for column, numbers in zip(columns, places, strict=True):
        texts: dict[str, list[Published]] = {}
        for number in numbers:
            texts.setdefault(as_printed(number.accuracy, number.std), []).append(number)
        # A source that repeats the mean, with or without a spread, adds nothing.
        values = [
            f"{text} {_where(members)}"
            for text, members in list(texts.items())[1:]
            if round(members[0].accuracy, 1) != round(numbers[0].accuracy, 1)
        ]
        if values:
            ipc = "" if own_size else f" IPC {ipc_name(column.ipc)}"
            parts.append(f"{column.label}{ipc}: {', '.join(values)}")
    return f"{name}, other sources: {'; '.join(dict.fromkeys(parts))}." if parts else ""


def _where(numbers: Sequence[Published]) -> str:
    keys = dict.fromkeys(cite_key(number) for number in numbers)
    others = [f"({n.reported_in}, {n.source})" for n in numbers if not cite_key(n)]
    cited = [f"[@{','.join(filter(None, keys))}]"] if any(keys) else []
    return " ".join(cited + others)


def _best_on_test(name: str, places: Sequence[Sequence[Published]]) -> str:
    if all(not numbers or numbers[0].selection != "test-oracle" for numbers in places):
        return ""
    return f"{name}: {BEST_ON_TEST[0].lower()}{BEST_ON_TEST[1:]}"
