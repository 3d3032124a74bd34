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

from bench.speed.report import to_markdown
from bench.speed.session import Plan, measure
from bench.speed.stages import STAGES
from bench.support.machine import pick_device


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
    if given.output is not None:
        given.output.write_text(to_markdown(record), encoding="utf-8")
    print(json.dumps(record, indent=2) if given.as_json else to_markdown(record))


if __name__ == "__main__":
    main(sys.argv[1:])
