"""A report before it has a format: sections of sheets of text, with notes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Attributes:
        caption: what it shows, without a final full stop; may be empty.
        headers: one per column.
        numeric: one per column: whether it is set flush right.
        rows: as many texts each as there are headers.
        wide: too wide for a page of a paper; LaTeX leaves it out.
        notes: sentences that explain this table alone.
    """

    caption: str
    headers: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    wide: bool = False
    notes: tuple[str, ...] = ()

    def without(self, names: Collection[str]) -> Sheet:
        """Return the sheet without the named columns."""
        keep = [i for i, header in enumerate(self.headers) if header not in names]
        return Sheet(
            self.caption,
            tuple(self.headers[i] for i in keep),
            tuple(self.numeric[i] for i in keep),
            tuple(tuple(row[i] for i in keep) for row in self.rows),
            self.wide,
            self.notes,
        )


@dataclass(frozen=True)
class Section:
    """Sheets that belong together.

    Attributes:
        title: a line.
        lead: a sentence under it, or nothing.
        sheets: the tables.
        notes: sentences about all of them.
    """

    title: str
    lead: str = ""
    sheets: Sequence[Sheet] = ()
    notes: Sequence[str] = ()


def make_sheet(
    caption: str,
    columns: Sequence[tuple[str, bool]],
    rows: Iterable[Sequence[str]],
    *,
    wide: bool = False,
    notes: Sequence[str] = (),
) -> Sheet:
    """Build a sheet from ``(header, numeric)`` pairs and rows.

    Raises:
        ValueError: if a row does not have one text per column.
    """
    headers, numeric = tuple(c[0] for c in columns), tuple(c[1] for c in columns)
    body = tuple(tuple(row) for row in rows)
    if any(len(row) != len(headers) for row in body):
        raise ValueError(f"a row of '{caption}' does not have {len(headers)} texts")
    return Sheet(caption, headers, numeric, body, wide, tuple(notes))
