"""Reports on a terminal, as wide as it allows: short at the end of a run, or all sections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation, Failure
from bench.report.aggregate import collect
from bench.report.result_tables import result_sections
from bench.report.tables import failure_notes
from bench.support.document import Section, Sheet
from bench.support.screen_table import ScreenTable, essential_columns

if TYPE_CHECKING:
    from rich.console import Console

_SHORT = {
    "Accuracy (%)": "Accuracy", "Distinct images": "Shown", "Training steps": "Steps",
    "New distil steps": "Distil steps", "New distil time": "Distil time",
}  # fmt: skip
# The title names the protocol, and a note says what the spread is over. The columns of the second
# list are left out, the first one first, until the table fits.
_NEVER = ("Protocol", "± over")
_ESSENTIAL = ("Method", "IPC", "Accuracy")
_DROP_ORDER = ("Distinct images", "Training steps", "Stored", "New distil steps", "New distil time")


def print_report(
    evaluations: Sequence[Evaluation], failures: Sequence[Failure], console: Console
) -> None:
    """Print the results, and what failed or was skipped.

    Args:
        evaluations: the successful evaluations; may be empty.
        failures: the cells without a result; may be empty.
        console: receives the text; columns are left out, then wrapped or listed
            below their rows, until the rest fits its width; method, IPC and accuracy always stay.
    """
    from rich.text import Text

    for section in result_sections(collect(evaluations)):
        console.print()
        console.print(Text(section.title, style="bold"))
        sheet = next(s for s in section.sheets if s.wide)
        console.print(_fitting(sheet.without(_NEVER), console))
        for note in (*sheet.notes, *section.notes):
            console.print(Text(f"  {note}", style="dim"))
    _print_missing(failure_notes(failures), console)


def print_sections(sections: Iterable[Section], console: Console) -> None:
    """Print sections with all of their tables and notes.

    Args:
        sections: what :func:`bench.report.tables.report_sections` returns.
        console: receives the text.
    """
    from rich.text import Text

    for section in sections:
        console.print(Text(section.title, style="bold"))
        if section.lead:
            console.print(Text(section.lead))
        for sheet in section.sheets:
            console.print(Text(f"\n{sheet.caption}", style="italic"))
            console.print(_fitting(sheet.without(_NEVER) if sheet.wide else sheet, console))
        for sheet_note in (note for sheet in section.sheets for note in sheet.notes):
            console.print(Text(f"  {sheet_note}", style="dim"))
        for note in section.notes:
            console.print(Text(f"  {note}", style="dim"))
        console.print()


def _print_missing(missing: Sequence[str], console: Console) -> None:
    from rich.text import Text

    if missing:
        console.print(Text("\nNot in the tables", style="bold"))
    for note in missing:
        console.print(Text(f"  {note}", style="yellow"))


def _fitting(sheet: Sheet, console: Console) -> ScreenTable:
    """Return the sheet with as many columns as the console is wide."""
    for i in range(len(_DROP_ORDER) + 1):
        table = _table(sheet.without(_DROP_ORDER[:i]))
        if table.fits(console, console.width):
            break
    return table


def _table(sheet: Sheet) -> ScreenTable:
    from rich import box
    from rich.text import Text

    headers = [_SHORT.get(header, header) for header in sheet.headers]
    ipcs = [header for header in headers if header.startswith("IPC ")]
    columns = essential_columns(headers, (*_ESSENTIAL, *ipcs), sheet.numeric)
    rows = [[Text(cell) for cell in row] for row in sheet.rows]
    return ScreenTable(columns, rows, box=box.SIMPLE_HEAD)
