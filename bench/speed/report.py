"""The record of a speed measurement for people: on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.speed.machine import busy_warning
from bench.support.document import Section, Sheet, make_sheet

if TYPE_CHECKING:
    from rich.console import Console

Record = Mapping[str, Any]
_COLUMNS = (
    ("Stage", False), ("Side", False), ("Images/s", True), ("Spread", True), ("Of peak", True),
)  # fmt: skip
_NOTES = (
    "Images a second: median of {repeats} repeats, and their least and greatest.",
    "Of peak: the floating-point operations of convolutions and products that the work needs "
    "(counted, a multiply-add being two), as a share of this device's measured peak in the "
    "side's precision. Winograd's convolutions do with fewer of them, so a share may exceed 100%.",
)


def speed_section(record: Record) -> Section:
    """Return the whole record as a section of three tables with notes."""
    machine = record["environment"]
    lead = (
        f"{machine['device_name']}, {machine['threads']} threads, "
        f"{', '.join(f'{k} {v}' for k, v in machine['packages'].items())}, "
        f"Python {machine['python']}; {record['date']}; {record['command']}"
    )
    notes = [note.format(repeats=record["repeats"]) for note in _NOTES]
    busy = busy_warning(record["load_average"]["start"])
    notes += [f"{s['stage']} was skipped: {s['reason']}." for s in record["skipped"]]
    notes += [f"{busy[0].upper()}{busy[1:]}."] if busy else []
    sheets = [_stages(record), _peaks(record), _memory(record)]
    return Section("Speed", lead, [sheet for sheet in sheets if sheet.rows], notes)


def print_speed(record: Record, console: Console) -> None:
    """Print the record's tables and notes."""
    from rich import box
    from rich.text import Text

    from bench.support.screen_table import ScreenTable, essential_columns

    section = speed_section(record)
    console.print(Text(section.lead, style="dim"))
    for sheet in section.sheets:
        columns = essential_columns(sheet.headers, sheet.headers[:3], sheet.numeric)
        rows = [[Text(cell) for cell in row] for row in sheet.rows]
        console.print(Text(sheet.caption, style="bold"))
        console.print(ScreenTable(columns, rows, box=box.SIMPLE_HEAD))
    for note in section.notes:
        console.print(Text(f"  {note}", style="dim"))


def _stages(record: Record) -> Sheet:
    rows = []
    for stage in record["stages"]:
        for i, side in enumerate(stage["sides"]):
            rate, share = side["images_per_second"], side["fraction_of_peak"]
            rows.append((
                stage["title"] if i == 0 else "",
                f"{side['side']} {side['precision']}",
                _count(rate["median"]),
                f"{_count(rate['min'])} to {_count(rate['max'])}",
                "" if share is None else f"{100 * share:.0f}%",
            ))  # fmt: skip
    return make_sheet("Stages (32x32x3 images of 10 classes, ConvNet-3)", _COLUMNS, rows)


def _peaks(record: Record) -> Sheet:
    columns = (("Precision", False), ("Operation", False), ("GFLOP/s", True), ("Peak", False))
    rows = [
        (precision, operation, _count(rate / 1e9), "yes" if operation == peak["operation"] else "")
        for precision, peak in record["peak"].items()
        for operation, rate in peak["all"].items()
    ]
    return make_sheet("This device's peak, measured", columns, rows)


def _memory(record: Record) -> Sheet:
    columns = (("Stage", False), ("Precision", False), ("Most memory", True))
    rows = [
        (m["stage"], m["precision"], f"{m['peak_bytes'] / 2**30:.2f} GiB")
        for m in record["memory"]
        if m["peak_bytes"] is not None
    ]
    device = record["environment"]["device"]
    what = "allocated on the device" if device == "cuda" else "of the whole process"
    return make_sheet(f"Memory {what}", columns, rows)


def _count(value: float) -> str:
    """Write a number with three digits or all that stand before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
