"""A paper's table as Markdown that GitHub shows."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.paper.model import Entry, PaperTable
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
from bench.support.markdown import escape, lay_out


def to_markdown(tables: Sequence[PaperTable]) -> str:
    """Return tables with their notes, and the references that they cite."""
    parts = [_table(table) for table in tables]
    sources = references(tables)
    if sources:
        lines = [f"- {escape(f'[{one.key}]')} {escape(one.reference)}" for one in sources]
        parts.append("**References**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _table(table: PaperTable) -> str:
    depth = len(table.rows.names)
    # Markdown has one line of headers: the levels of a column are joined in it.
    columns = (plain_column(table.columns, heading) for heading in table.columns.headings)
    header = [*map(escape, table.rows.names), *map(escape, columns)]
    body = [
        [*(escape(plain_heading(heading, level)) for level in range(depth)), *map(_entry, entries)]
        for heading, entries in zip(table.rows.headings, table.entries, strict=True)
    ]
    numeric = [False] * depth + numeric_columns(table)
    notes = [f"- {escape_note(superscript([n.mark]), n.text)}" for n in table.notes]
    grid = lay_out(header, body, numeric)
    return f"**{escape(table.caption)}.**\n\n{grid}\n\n" + "\n".join(notes)


def escape_note(mark: str, text: str) -> str:
    """Return a note with its mark as Markdown shows it."""
    shown = replace_citations(text, escape, lambda keys: escape(citation(keys)))
    return f"{mark} {shown}" if mark else shown


def _entry(entry: Entry) -> str:
    text = escape(plain_entry(entry))
    if not entry.place:
        return text
    number, rest = escape(entry.text), text[len(escape(entry.text)) :]
    return (f"**{number}**" if entry.place == 1 else f"<u>{number}</u>") + rest
