"""Every format, byte for byte. BENCH_UPDATE_GOLDEN=1 rewrites the files; read the difference."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from report_rows import evaluation, example_evaluations, example_failures
from rich.console import Console

from bench.ledger.rows import Evaluation
from bench.report.published.read import Published
from bench.report.tables import render
from bench.report.terminal import print_report

GOLDEN = Path(__file__).parent / "golden"
SUFFIX = {"md": "md", "csv": "csv", "latex": "tex", "json": "json"}
NUMBERS = [
    Published("Random", "SVHN", 1, "-", "ConvNet-3", 14.6, 1.6, "real images", "Table 1", "a.pdf"),
    Published("Random", "SVHN", 1, "-", "ConvNet", 15.15, None, "best epoch", "Table 2", "b.pdf"),
    Published("DM", "SVHN", 50, "ConvNet-3", "ConvNet-3", 77.5, 0.5, "", "Table 1", "a.pdf"),
]


def small_example() -> list[Evaluation]:
    some = [
        row
        for row in example_evaluations()
        if row.dataset == "svhn" and row.method in ("random", "dm", "dim") and row.ipc != 10
    ]
    odd = evaluation(
        method="my_method", profile="custom", changed="w=50% & a_b|c", arch="resnet18",
        selection="test-oracle", accuracies=[51.0], cell_id="odd", distil_id="odd",
    )  # fmt: skip
    some_diverged = evaluation(
        method="my_method", profile="custom", ipc=1, seed=0, accuracies=[83.2, 84.2, 82.2],
        diverged=(1, 3), cell_id="diverged", distil_id="diverged",
    )  # fmt: skip
    return [*some, odd, some_diverged]


def check(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("BENCH_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("format", list(SUFFIX))
def test_table(format: str) -> None:
    check(f"table.{SUFFIX[format]}", render(small_example(), example_failures(), format=format))


@pytest.mark.parametrize("format", list(SUFFIX))
def test_table_beside_published_numbers(format: str) -> None:
    some = [row for row in small_example() if row.method in ("random", "dm")]
    text = render(some, [], format=format, published=NUMBERS)
    check(f"published.{SUFFIX[format]}", text)


def test_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, color_system=None)
    print_report(small_example(), example_failures(), console)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    check("terminal.txt", "\n".join(lines) + "\n")
