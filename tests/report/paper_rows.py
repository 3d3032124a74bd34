"""The rows of a small store that has every state a paper's table can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from report_rows import example_evaluations, failure

from bench.ledger.rows import Evaluation, Failure
from bench.report.aggregate import collect
from bench.report.paper.build import paper_tables
from bench.report.paper.layout import Layout
from bench.report.paper.model import Entry, PaperTable
from bench.report.paper.published import PublishedNumbers
from bench.report.published.read import Published

NUMBERS = [
    Published("Random", "CIFAR10", 1, "-", "ConvNet-3", 14.4, 2.0, "", "Table 1",
              "GitHub gszfwsb/NCFM asset/paper.pdf", "plain"),
    Published("Random", "CIFAR10", 1, "-", "ConvNet", 15.15, None, "", "Table 2", "my own.pdf"),
    Published("DM", "SVHN", 50, "ConvNet-3", "ConvNet-3", 77.5, 0.5, "", "Table 1",
              "paper text: FTD paper"),
    Published("DM", "CIFAR10", 10, "ConvNet-3", "ConvNet-3", 48.9, 0.6, "", "Table 1",
              "paper text: PAD paper"),
    Published("Whole dataset", "CIFAR10", None, "-", "ConvNet-3", 84.8, 0.1, "", "Table 1",
              "paper text: PAD paper", "", "test-oracle"),
]  # fmt: skip


def evaluations() -> list[Evaluation]:
    """Return two datasets at IPC 1, 10 and 50, one method in two modes, and a whole set."""
    methods = ("random", "dm", "dim", "whole")
    rows = [row for row in example_evaluations() if row.method in methods]
    rows = [row for row in rows if (row.dataset, row.method, row.ipc) != ("svhn", "dm", 50)]
    return [
        replace(row, changed="lite: iterations=9")
        if (row.dataset, row.method, row.ipc) == ("cifar10", "dm", 10)
        else row
        for row in rows
        if (row.dataset, row.method, row.mode, row.ipc) != ("svhn", "dim", "frozen", 50)
    ]


def failures() -> list[Failure]:
    """Return a cell that failed, one that was skipped, and one seed without a result."""
    return [
        failure(protocol="quick-v1"),
        failure(method="dim", mode="frozen", seed=0, status="skipped", reason="no <such> mode"),
        failure(method="random", profile="any", dataset="cifar10", ipc=1, seed=2,
                reason="out of memory"),
    ]  # fmt: skip


def tables(
    layout: Layout | None = None, numbers: Sequence[Published] | None = NUMBERS
) -> list[PaperTable]:
    """Return the tables of these rows."""
    published = None if numbers is None else PublishedNumbers(numbers)
    return paper_tables(collect(evaluations()), failures(), layout, published)


def entry(table: PaperTable, line: str, *column: str) -> Entry:
    """Return the entry of a line and a column, by their names."""
    row = [heading.levels for heading in table.rows.headings].index((line,))
    at = [heading.levels for heading in table.columns.headings].index(column)
    return table.entries[row][at]
