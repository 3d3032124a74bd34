"""What the renderers of a paper's table share: superscripts, citations and references."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from bench.report.number_formats import MARKS
from bench.report.paper.model import Axis, Entry, Heading, PaperTable, State
from bench.report.published.sources import Source, cited

_LETTERS = "abcdefghijklmnoprstuvwxyz"
_SUPERSCRIPT = str.maketrans(dict(zip(_LETTERS, MARKS, strict=True)))
# One or more keys, with commas between them.
_CITATION = re.compile(r"\[@([^\]\s]+)\]")


def superscript(marks: Sequence[str]) -> str:
    """Return marks in Unicode's superscript letters, ``ᵃ’ᵇ`` where there are several."""
    return "’".join(mark.translate(_SUPERSCRIPT) for mark in marks)


def replace_citations(text: str, plain: Callable[[str], str], cite: Callable[[str], str]) -> str:
    """Return a text of the model in a format.

    Args:
        text: may hold citations, ``[@key]`` or ``[@key,key]``.
        plain: returns the text between citations as the format has it; it may drop spaces at the
            ends.
        cite: returns a citation of keys as the format has it.
    """
    words = text.replace(" [@", "[@")
    parts = _CITATION.split(words)  # texts and keys by turns
    shown = [f" {cite(part)}" if i % 2 else plain(part) for i, part in enumerate(parts)]
    # What follows a citation is punctuation, or a word after a space.
    return "".join(
        f" {one}" if i and not i % 2 and parts[i].startswith(" ") else one
        for i, one in enumerate(shown)
    )


def citation(keys: str) -> str:
    """Return a citation of keys, which have commas between them, as plain text."""
    return f"[{keys.replace(',', ', ')}]" if keys else ""


def cited_keys(table: PaperTable) -> set[str]:
    """Return the keys of every source that a table cites."""
    lists = (keys for note in table.notes for keys in _CITATION.findall(note.text))
    keys = {key for each in lists for key in each.split(",")}
    keys |= {heading.cite for axis in (table.rows, table.columns) for heading in axis.headings}
    for entry in (entry for line in table.entries for entry in line):
        keys |= {entry.cite, entry.published.cite if entry.published else ""}
    return keys - {""}


def references(tables: Iterable[PaperTable]) -> list[Source]:
    """Return the sources that tables cite, each once."""
    return cited(key for table in tables for key in cited_keys(table))


def plain_entry(entry: Entry) -> str:
    """Return an entry as plain text: number, marks, source, and the published number beside it."""
    parts = [f"{entry.text}{superscript(entry.marks)}", citation(entry.cite)]
    if entry.published is not None:
        own = entry.published
        parts.append(f"({own.text}{superscript(own.marks)} {citation(own.cite)})")
    return " ".join(filter(None, parts)).replace(" )", ")")


def numeric_columns(table: PaperTable) -> list[bool]:
    """Return of each column whether it holds numbers; one that holds none at all counts."""
    columns = ([line[i] for line in table.entries] for i in range(len(table.columns.headings)))
    return [
        any(entry.value is not None for entry in column)
        or not any(entry.state is State.OK for entry in column)
        for column in columns
    ]


def plain_column(axis: Axis, heading: Heading) -> str:
    """Return all levels of a column's heading in one line, ``CIFAR-10 IPC 10``."""
    texts = [plain_heading(heading, level) for level in range(len(axis.names))]
    return " ".join(
        f"{name} {text}" if name == "IPC" and heading.levels[i].isdigit() else text
        for i, (name, text) in enumerate(zip(axis.names, texts, strict=True))
    )


def plain_heading(heading: Heading, level: int) -> str:
    """Return a level of a heading as plain text; marks and source go with the innermost one."""
    text = heading.levels[level]
    if level < len(heading.levels) - 1:
        return text
    return " ".join(filter(None, (text + superscript(heading.marks), citation(heading.cite))))
