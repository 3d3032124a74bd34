"""Compares each stage of ``bench speed`` with a plain eager loop as the papers' code has it.

    python tests/speed/compare.py --stage dm,gan -o speed.md

In a checkout of bench, on a quiet machine; ten minutes or so.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from plain.elsewhere import plain_elsewhere

from bench.speed.measuring import Spread
from bench.speed.report import Record, speed_section
from bench.speed.session import Plan, measure
from bench.speed.stages import STAGES
from bench.support.document import Section, make_sheet
from bench.support.machine import pick_device
from bench.support.markdown import markdown

_COMPARED = (
    "The plain loop is always fp32 and eager, as the papers' code: ours in bf16 is compared with "
    "that same loop. It runs in a process of its own, with the C library's defaults; the two "
    "processes work in turn, one waiting for the other. Ratio: ours to the plain loop, pair by "
    "pair of neighbouring repeats."
)


def ratios(side: Record, plain: Record) -> Spread:
    """Return how many times as fast as the plain loop the repeats of a side were, pair by pair."""
    rates = [[each["units"] / seconds for seconds in each["seconds"]] for each in (side, plain)]
    return Spread.of([ours / theirs for ours, theirs in zip(*rates, strict=True)])


def compared_section(record: Record) -> Section:
    """Return the section of a record with the ratios to plain loops beside the stages."""
    section = speed_section(record)
    first, *others = section.sheets
    sides = [(side, stage["sides"][0]) for stage in record["stages"] for side in stage["sides"]]
    rows = []
    for row, (side, plain) in zip(first.rows, sides, strict=True):
        ratio = ratios(side, plain)
        cells = (f"{ratio.median:.2f}x", f"{ratio.min:.2f} to {ratio.max:.2f}")
        rows.append((*row[:-1], *(("", "") if side is plain else cells), row[-1]))
    columns = list(zip(first.headers, first.numeric, strict=True))
    columns[-1:-1] = [("Ratio", True), ("Spread of ratio", True)]
    sheet = make_sheet(first.caption, columns, rows)
    return Section(section.title, section.lead, [sheet, *others], [*section.notes, _COMPARED])


def main(arguments: list[str]) -> None:
    """Measure and print, as Markdown or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32,bf16", help="of bench; the loop is fp32")
    parser.add_argument("--stage", default=",".join(STAGES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run, about")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args(arguments)
    plan = Plan(
        pick_device(given.device), given.precision.split(","), given.stage.split(","),
        given.repeats, given.seconds, plain_elsewhere,
    )  # fmt: skip
    command = shlex.join(["python", "tests/speed/compare.py", *arguments])
    record = measure(plan, command, lambda text: print(text, file=sys.stderr))
    text = markdown([compared_section(record)])
    if given.output is not None:
        given.output.write_text(text, encoding="utf-8")
    print(json.dumps(record, indent=2) if given.as_json else text)


if __name__ == "__main__":
    main(sys.argv[1:])
