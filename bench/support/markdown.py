"""A report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.support.document import Section, Sheet

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def markdown(sections: Iterable[Section]) -> str:
    """Return the sections as GitHub-flavoured Markdown."""
    return "\n\n".join(_section(section) for section in sections) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a table's cell too."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _section(section: Section) -> str:
    parts = [f"## {escape(section.title)}", escape(section.lead)]
    for sheet in section.sheets:
        parts += [f"**{escape(sheet.caption)}**" if sheet.caption else "", _table(sheet)]
    sheet_notes = [note for sheet in section.sheets for note in sheet.notes]
    parts.append("\n".join(f"- {escape(note)}" for note in [*sheet_notes, *section.notes]))
    return "\n\n".join(part for part in parts if part)


def lay_out(header: Sequence[str], body: Iterable[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Return a table of texts that are escaped, with its columns padded to one width.

    Args:
        header: one text per column.
        body: rows of as many texts.
        numeric: one per column: whether it is set flush right.
    """
    rows = [header, *body]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(header))]
    rule = [
        "-" * (width - 1) + ":" if right else "-" * width
        for width, right in zip(widths, numeric, strict=True)
    ]
    return "\n".join(_line(line, widths, numeric) for line in [header, rule, *rows[1:]])


def _table(sheet: Sheet) -> str:
    header, *body = [[escape(cell) for cell in row] for row in (sheet.headers, *sheet.rows)]
    return lay_out(header, body, sheet.numeric)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return f"| {' | '.join(padded)} |"
