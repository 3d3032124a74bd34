"""A table for a terminal of any width, in which the columns that matter always stay readable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

# Columns that are not essential wrap down to the first width, or to their longest word if it is no
# longer than the second.
_READABLE, _LONG_WORD = 14, 24
_GAP = "  "


@dataclass(frozen=True)
class ScreenColumn:
    """A column of a :class:`ScreenTable`.

    Attributes:
        header: over the column; without one, a text listed below its row has no name.
        right: whether its texts are set flush right.
        essential: whether it must never shrink: neither cut, nor wrapped, nor listed below.
        style: of its texts, as rich names styles.
    """

    header: str
    right: bool = False
    essential: bool = False
    style: str = ""


@dataclass(frozen=True)
class ScreenTable:
    """Rows of texts, drawn by rich as wide as the place where they are printed.

    Where the whole table does not fit, the columns that are not essential wrap. Where they would
    be too narrow to read, they are listed below each row instead. rich alone would narrow every
    column until it fits, to an ellipsis at worst.

    Attributes:
        columns: what the columns are.
        rows: as many texts each as there are columns.
        title: a line above it; may be empty.
        box: the lines that rich draws; ``None`` draws none.
    """

    columns: Sequence[ScreenColumn]
    rows: Sequence[Sequence[Text]]
    title: str = ""
    box: Box | None = None

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yield the table, or lines where no table fits."""
        if self.fits(console, options.max_width):
            yield self._table(self._widths(options.max_width - self._borders(console)))
        else:
            yield from self._lines()

    def fits(self, console: Console, width: int) -> bool:
        """Return whether it can be a table, rather than lines, within a width in characters."""
        return sum(self._least_widths()) + self._borders(console) <= width

    def _borders(self, console: Console) -> int:
        """Return the width of everything between and beside the columns."""
        from rich.measure import Measurement

        unlimited = console.options.update(width=100_000)
        natural = Measurement.get(console, unlimited, self._table(self._full_widths())).maximum
        return natural - sum(self._full_widths())

    def _full_widths(self) -> list[int]:
        """Return the width of each column's longest text, in characters."""
        from rich.cells import cell_len

        return [
            max([cell_len(column.header), *(row[i].cell_len for row in self.rows)])
            for i, column in enumerate(self.columns)
        ]

    def _least_widths(self) -> list[int]:
        """Return the width down to which each column can shrink."""
        return [
            full if column.essential else min(full, _readable(row[i].plain for row in self.rows))
            for i, (full, column) in enumerate(zip(self._full_widths(), self.columns, strict=True))
        ]

    def _widths(self, room: int) -> list[int]:
        """Return the widths at which the columns fill a room that they fit into, or less."""
        widths, least = self._full_widths(), self._least_widths()
        while sum(widths) > room:
            shrinking = [i for i, width in enumerate(widths) if width > least[i]]
            widths[max(shrinking, key=lambda i: widths[i])] -= 1
        return widths

    def _table(self, widths: Sequence[int]) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=self.box, padding=(0, 1), pad_edge=False, header_style="bold",
            title=self.title or None, title_justify="left",
        )  # fmt: skip
        for column, width in zip(self.columns, widths, strict=True):
            table.add_column(
                Text(column.header), justify="right" if column.right else "left",
                style=column.style, width=width, overflow="fold",
            )  # fmt: skip
        for row in self.rows:
            table.add_row(*row)
        return table

    def _lines(self) -> Iterator[RenderableType]:
        """Yield a line per row with the essential texts, and the others indented below it."""
        from rich.padding import Padding
        from rich.text import Text

        if self.title:
            yield Text(self.title, style="italic")
        headers = [Text(column.header, style="bold") for column in self.columns]
        yield self._essentials(headers)
        for row in self.rows:
            yield self._essentials(row)
            others = Text("; ").join(
                Text.assemble(f"{column.header}: " if column.header else "", text)
                for column, text in zip(self.columns, row, strict=True)
                if not column.essential and text
            )
            if others:
                others.overflow = "fold"
                yield Padding(others, (0, 0, 0, 4))

    def _essentials(self, row: Sequence[Text]) -> Text:
        """Return the essential texts of a row in columns; it wraps only if even they do not fit."""
        from rich.text import Text

        texts = []
        for text, size, column in zip(row, self._full_widths(), self.columns, strict=True):
            if column.essential:
                padded = text.copy()
                padded.align("right" if column.right else "left", size)
                padded.stylize_before(column.style)
                texts.append(padded)
        line = Text(_GAP).join(texts)
        line.rstrip()
        line.overflow = "fold"
        return line


def _readable(texts: Iterable[str]) -> int:
    from rich.cells import cell_len

    words = [cell_len(word) for text in texts for word in text.split()]
    return max([_READABLE, *(length for length in words if length <= _LONG_WORD)])


def essential_columns(
    headers: Sequence[str], essential: Sequence[str], numeric: Sequence[bool] | None = None
) -> list[ScreenColumn]:
    """Return a column for each header; those in ``essential`` never shrink."""
    right = numeric or [False] * len(headers)
    return [
        ScreenColumn(header, flush, header in essential)
        for header, flush in zip(headers, right, strict=True)
    ]
