"""The report at the end of a run: a compact table per block, as wide as the terminal allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation, Failure
from bench.report.aggregate import collect
from bench.report.result_tables import result_sections
from bench.report.tables import failure_notes
from bench.support.document import Sheet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SHORT = {
    "Accuracy (%)": "Accuracy", "Distinct images": "Shown", "Training steps": "Steps",
    "New distil steps": "Distil steps", "New distil time": "Distil time",
}  # fmt: skip
# The title names the protocol, and a note says what the spread is over. The columns of the second
# list are left out, the first one first, until the table fits.
_NEVER = ("Protocol", "± over")
_DROP_ORDER = ("Distinct images", "Training steps", "Stored", "New distil steps", "New distil time")


def print_report(
    evaluations: Sequence[Evaluation], failures: Sequence[Failure], console: Console
) -> None:
    """Print the results, and what failed or was skipped.

    Args:
        evaluations: the successful evaluations; may be empty.
        failures: the cells without a result; may be empty.
        console: receives the text; columns are left out until the rest fits its width.
    """
    from rich.text import Text

    for section in result_sections(collect(evaluations)):
        console.print()
        console.print(Text(section.title, style="bold"))
        sheet = next(s for s in section.sheets if s.wide)
        console.print(_fitting(sheet.without(_NEVER), console))
        for note in (*sheet.notes, *section.notes):
            console.print(Text(f"  {note}", style="dim"))
    missing = failure_notes(failures)
    if missing:
        console.print(Text("\nNot in the tables", style="bold"))
    for note in missing:
        console.print(Text(f"  {note}", style="yellow"))


def _fitting(sheet: Sheet, console: Console) -> Table:
    """Return the sheet with as many columns as the console is wide."""
    from rich.measure import Measurement

    for i in range(len(_DROP_ORDER) + 1):
        table = _table(sheet.without(_DROP_ORDER[:i]))
        width = Measurement.get(console, console.options.update(width=1000), table).maximum
        if width <= console.width:
            break
    return table


def _table(sheet: Sheet) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for header, numeric in zip(sheet.headers, sheet.numeric, strict=True):
        label = Text(_SHORT.get(header, header))
        table.add_column(label, justify="right" if numeric else "left", no_wrap=True)
    for row in sheet.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
