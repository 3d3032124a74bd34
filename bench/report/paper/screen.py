"""A paper's table on a terminal: one table, or one for each group of columns that fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.report.paper.model import Axis, Entry, Kind, Note, PaperTable, State
from bench.report.paper.texts import (
    citation,
    numeric_columns,
    plain_column,
    plain_entry,
    plain_heading,
    references,
    replace_citations,
    superscript,
)
from bench.support.screen_table import ScreenColumn, ScreenTable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {1: "bold", 2: "underline"}


def print_paper(tables: Sequence[PaperTable], console: Console) -> None:
    """Print tables, their notes and their references, as wide as a console is."""
    from rich.text import Text

    for table in tables:
        console.print(Text(f"{table.caption}.", style="bold"))
        for part in _fitting(table, console):
            console.print(part)
        for note in table.notes:
            console.print(Text(f"  {_note(note)}", style="dim"))
        console.print()
    for source in references(tables):
        console.print(Text(f"  {citation(source.key)} {source.reference}", style="dim"))


def _fitting(table: PaperTable, console: Console) -> Iterator[ScreenTable]:
    """Yield the table, or a table for each outermost heading of the columns if it is too wide."""
    whole = _screen(table, range(len(table.columns.headings)))
    if whole.fits(console, console.width) or len(table.columns.names) == 1:
        yield whole
        return
    start = 0
    for _, width in table.columns.spans(0):
        yield _screen(table, range(start, start + width))
        start += width


def _screen(table: PaperTable, columns: range) -> ScreenTable:
    from rich import box

    depth = len(table.rows.names)
    headings = [table.columns.headings[i] for i in columns]
    axis = Axis(table.columns.names, tuple(headings))
    shown = [ScreenColumn(name, essential=True) for name in table.rows.names]
    numeric = numeric_columns(table)
    # Beside columns of text, those of numbers keep their place; without them, each can give way.
    mixed = not all(numeric)
    shown += [
        ScreenColumn(plain_column(axis, h), right=numeric[i], essential=mixed and numeric[i])
        for i, h in zip(columns, headings, strict=True)
    ]
    rows = []
    for heading, entries in zip(table.rows.headings, table.entries, strict=True):
        own = [entries[i] for i in columns]
        if heading.kind is Kind.PUBLISHED and not any(e.state is State.OK for e in own):
            continue
        rows.append(
            [*(_name(plain_heading(heading, level)) for level in range(depth)), *map(_entry, own)]
        )
    return ScreenTable(shown, rows, box=box.SIMPLE_HEAD)


def _name(text: str) -> Text:
    from rich.text import Text

    return Text(text)


def _entry(entry: Entry) -> Text:
    from rich.text import Text

    text = Text(plain_entry(entry))
    if entry.place in _STYLES:
        text.stylize(_STYLES[entry.place], 0, len(entry.text))
    return text


def _note(note: Note) -> str:
    text = replace_citations(note.text, str, citation)
    return f"{superscript([note.mark])} {text}" if note.mark else text
