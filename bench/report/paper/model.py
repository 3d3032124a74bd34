"""A table as papers print it, before it has a format: two axes, and an entry where they meet.

Texts are plain: a renderer escapes them for its format. A citation in a text is ``[@key]``, where
``key`` is an entry of ``sources.bib``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bench.report.row import Row


class State(StrEnum):
    """What is known of an entry."""

    OK = "ok"
    MISSING = "missing"
    FAILED = "failed"
    SKIPPED = "skipped"
    BUSY = "busy"
    # The dataset is not on this machine and cannot be fetched.
    NOT_AVAILABLE = "not available"
    # There is nothing to compute: the line has no number here by construction.
    NOT_APPLICABLE = "not applicable"
    # No source that is known here prints a number.
    NOT_PUBLISHED = "not published"
    # The entry before it, along the columns' axis, is about this one as well.
    COVERED = "covered"


# What stands in the place of a number. A note below the table explains each that occurs.
SYMBOLS = {
    State.MISSING: "–",
    State.FAILED: "×",
    State.SKIPPED: "⊘",
    State.BUSY: "…",
    State.NOT_AVAILABLE: "∅",
    State.NOT_APPLICABLE: "n/a",
    State.NOT_PUBLISHED: "",
    State.COVERED: "",
}


class Kind(StrEnum):
    """What a line of a table shows."""

    METHOD = "method"
    WHOLE = "whole"
    PUBLISHED = "published"
    RATIO = "ratio"


@dataclass(frozen=True)
class Number:
    """A published number beside ours.

    Attributes:
        text: as its source prints it, ``48.9 ± 0.6``.
        value: in percent.
        spread: what follows its ±, in percentage points; ``None`` if there is none.
        cite: the key of its source; empty if the source has none.
        marks: of the notes that are about it.
    """

    text: str
    value: float
    spread: float | None
    cite: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What a table shows where a line and a column meet.

    Attributes:
        state: whether there is a number, or why not.
        text: the number as people read it, or the symbol of the state.
        value: in percent; ``None`` without a number.
        spread: what follows the ±, in percentage points; ``None`` if there is none.
        place: 1 for the best of its column, 2 for the second, 0 for the others. Numbers that are
            printed alike share a place.
        marks: of the notes that are about this entry.
        cite: the key of the source of a published number; empty otherwise.
        published: a number of a paper that stands beside ours.
        row: our result behind the number; no part of the comparison of two entries.
    """

    state: State
    text: str
    value: float | None = None
    spread: float | None = None
    place: int = 0
    marks: tuple[str, ...] = ()
    cite: str = ""
    published: Number | None = None
    row: Row | None = field(default=None, compare=False, repr=False)


def empty(state: State, marks: tuple[str, ...] = ()) -> Entry:
    """Return an entry without a number."""
    return Entry(state, SYMBOLS[state], marks=marks)


@dataclass(frozen=True)
class Heading:
    """The name of a line or of a column.

    Attributes:
        levels: from the outermost in: ``("CIFAR-10", "10")``, or ``("DiM (stream)",)``.
        kind: what the line shows; of a heading on the other axis it is ``METHOD``.
        marks: of the notes that are about all of it.
        cite: the key of the source that all of its numbers come from; empty if there are several.
    """

    levels: tuple[str, ...]
    kind: Kind = Kind.METHOD
    marks: tuple[str, ...] = ()
    cite: str = ""


@dataclass(frozen=True)
class Axis:
    """The lines or the columns of a table.

    Attributes:
        names: what each level of the headings is: ``("Dataset", "IPC")``.
        headings: in their order; all have as many levels as there are names.
    """

    names: tuple[str, ...]
    headings: tuple[Heading, ...]

    def spans(self, level: int) -> list[tuple[str, int]]:
        """Return the texts of a level with how many neighbours share each, outer levels alike."""
        spans: list[tuple[str, int]] = []
        before: tuple[str, ...] | None = None
        for heading in self.headings:
            prefix = heading.levels[: level + 1]
            if prefix == before:
                spans[-1] = (spans[-1][0], spans[-1][1] + 1)
            else:
                spans.append((heading.levels[level], 1))
            before = prefix
        return spans


@dataclass(frozen=True)
class Note:
    """A sentence below the table.

    Attributes:
        mark: a letter that entries or headings carry; empty for a note about the whole table.
        text: the sentence.
    """

    mark: str
    text: str


@dataclass(frozen=True)
class PaperTable:
    """A table as papers print it.

    Attributes:
        name: of letters, digits and hyphens; names the table in LaTeX and in file names.
        caption: what it shows.
        rows: the lines.
        columns: the columns.
        entries: one tuple per line, with one entry per column.
        notes: sentences below it.
        transposed: whether what is usually a line is a column.
    """

    name: str
    caption: str
    rows: Axis
    columns: Axis
    entries: tuple[tuple[Entry, ...], ...]
    notes: tuple[Note, ...] = ()
    transposed: bool = False

    def transpose(self) -> PaperTable:
        """Return the table with its lines as columns."""
        return replace(
            self,
            rows=self.columns,
            columns=self.rows,
            entries=tuple(zip(*self.entries, strict=True)),
            transposed=not self.transposed,
        )


def span(entries: Sequence[Entry], index: int) -> int:
    """Return over how many entries the one at ``index`` reaches: itself and what it covers."""
    after = index + 1
    while after < len(entries) and entries[after].state is State.COVERED:
        after += 1
    return after - index
