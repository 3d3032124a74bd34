"""A paper's table as HTML: a fragment to put in a page, or a page of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files

from bench.report.paper.model import Entry, Heading, PaperTable, State, span
from bench.report.paper.texts import citation, references, replace_citations
from bench.report.published.sources import Source

_PAGE_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; }
table.paper { border-block: 2px solid; }
"""
_PLACES = {1: "best", 2: "second"}


def to_html(tables: Sequence[PaperTable]) -> str:
    """Return a page that holds tables, their notes and their references."""
    parts = [html_table(table) for table in tables]
    parts.append(html_references(references(tables)))
    title = escape(tables[0].caption if tables else "Results")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_PAGE_STYLE}{table_style()}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body>\n</html>\n"
    )


def table_style() -> str:
    """Return the style sheet of the tables and notes that :func:`html_table` makes."""
    return (files("bench.report.paper") / "table.css").read_text(encoding="utf-8")


def html_table(table: PaperTable) -> str:
    """Return a table with its notes as a fragment of HTML; every text is escaped.

    Its classes are ``paper``, ``paper-notes``, ``best``, ``second``, and the kind of each line.
    """
    lines = [
        # A region that scrolls is reached by the keyboard, and has a name for screen readers.
        f'<div class="paper-scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.caption)}">',
        f'<table class="paper" id="{escape(table.name)}">',
        f"<caption>{escape(table.caption)}.</caption>",
        "<thead>", *_header(table), "</thead>",
        "<tbody>", *_lines(table), "</tbody>", "</table></div>",
        '<ul class="paper-notes">',
        *(f"<li>{_superscript([n.mark] if n.mark else [])} {_note(n.text)}</li>"
          for n in table.notes),
        "</ul>",
    ]  # fmt: skip
    return "\n".join(lines)


def html_references(sources: Iterable[Source]) -> str:
    """Return a list of sources as a fragment of HTML; empty if there are none."""
    lines = [
        f'<li id="ref-{escape(one.key)}">[{escape(one.key)}] {escape(one.reference)}</li>'
        for one in sources
    ]
    return "\n".join(['<ul class="paper-notes">', *lines, "</ul>"]) if lines else ""


def _header(table: PaperTable) -> Iterator[str]:
    depth, axis = len(table.rows.names), table.columns
    for level, name in enumerate(axis.names):
        stub = [*table.rows.names] if len(axis.names) == 1 else [""] * (depth - 1) + [name]
        cells = [f'<th scope="col">{escape(text)}</th>' if text else "<td></td>" for text in stub]
        if level < len(axis.names) - 1:
            cells += [
                f'<th scope="colgroup" colspan="{width}">{escape(text)}</th>'
                for text, width in axis.spans(level)
            ]
        else:
            cells += [f'<th scope="col">{_heading(h, level)}</th>' for h in axis.headings]
        yield f"<tr>{''.join(cells)}</tr>"


def _lines(table: PaperTable) -> Iterator[str]:
    depth = len(table.rows.names)
    starts = [_starts(table, level) for level in range(depth)]
    for i, (heading, entries) in enumerate(zip(table.rows.headings, table.entries, strict=True)):
        cells = [
            f'<th scope="row" rowspan="{starts[level][i]}">{_heading(heading, level)}</th>'
            for level in range(depth)
            if i in starts[level]
        ]
        for index, entry in enumerate(entries):
            if entry.state is State.COVERED:
                continue
            down = [line[index] for line in table.entries] if table.transposed else []
            attribute = "rowspan" if table.transposed else "colspan"
            width = span(down, i) if table.transposed else span(entries, index)
            cells.append(_cell(entry, f' {attribute}="{width}"' if width > 1 else ""))
        yield f'<tr class="{heading.kind}">{"".join(cells)}</tr>'


def _starts(table: PaperTable, level: int) -> dict[int, int]:
    """Return the lines at which a heading of a level begins, with how many lines it is for."""
    if level == len(table.rows.names) - 1:
        return dict.fromkeys(range(len(table.rows.headings)), 1)
    starts, at = {}, 0
    for _, height in table.rows.spans(level):
        starts[at] = height
        at += height
    return starts


def _cell(entry: Entry, reach: str) -> str:
    text = escape(entry.text)
    if entry.place in _PLACES:
        text = f'<span class="{_PLACES[entry.place]}">{text}</span>'
    text += _superscript(entry.marks) + _cite(entry.cite)
    if entry.published is not None:
        own = entry.published
        text += f" ({escape(own.text)}{_superscript(own.marks)}{_cite(own.cite)})"
    return f"<td{reach}>{text}</td>"


def _heading(heading: Heading, level: int) -> str:
    text = escape(heading.levels[level])
    if level < len(heading.levels) - 1:
        return text
    return text + _superscript(heading.marks) + _cite(heading.cite)


def _superscript(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def _cite(keys: str) -> str:
    return f" {escape(citation(keys))}" if keys else ""


def _note(text: str) -> str:
    return replace_citations(text, escape, lambda keys: escape(citation(keys)))
