"""Comparisons in every format: the same numbers, and sentences that say what they are."""

from __future__ import annotations

import csv
import io
import json

import pytest
from test_grid import grid

from bench.report.comparison.contenders import find_contenders, select_contenders
from bench.report.comparison.grid import grid_lines
from bench.report.comparison.pairs import compare_pairs
from bench.report.comparison.report import render
from bench.support.errors import UnknownNameError

FORMATS = ("md", "csv", "latex", "json")


def pairs_text(format: str) -> str:
    pairs = compare_pairs(select_contenders(grid(), ["dm", "random"]))
    return render("pairs", pairs, format=format)


def grid_text(format: str) -> str:
    return render("grid", grid_lines(find_contenders(grid())), format=format)


def test_markdown_of_pairs() -> None:
    text = pairs_text("md")
    assert (
        "## A against B: evaluated with convnet3, protocol quick-v1, selection last, fp32" in text
    )
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["DM", "Random", "cifar10", "1", "25.0", "10.0", "+15.0", "+15.0 to +15.0",
            "\\< 0.001", "3"] in cells  # fmt: skip
    assert ["DM", "Random", "cifar10", "1, 10", "29.0", "20.0", "+9.0", "+9.0 to +9.0",
            "\\< 0.001", "3"] in cells  # fmt: skip
    assert "Student's t" in text


def test_markdown_of_a_grid() -> None:
    text = grid_text("md")
    assert "Ranks are among 4 methods, over the 2 cells that all of these have" in text
    dm = next(line for line in text.splitlines() if line.startswith("| DM"))
    assert [c.strip() for c in dm.strip("|").split("|")] == [
        "DM", "2", "+9.0 (+9.0 to +9.0)", "\\< 0.001", "+1.5 (+1.5 to +1.5)", "\\< 0.001",
        "1.5 (1.0 to 2.0)",
    ]  # fmt: skip


@pytest.mark.parametrize("text", [pairs_text, grid_text])
def test_csv_and_json_hold_the_same(text: object) -> None:
    data = json.loads(text("json"))
    (records,) = data.values()
    lines = list(csv.DictReader(io.StringIO(text("csv"))))
    assert len(lines) == len(records)
    for line, record in zip(lines, records, strict=True):
        for name, value in record.items():
            for part, inner in value.items() if isinstance(value, dict) else ((None, value),):
                column = f"{name}_{part}" if part else name
                assert line.get(column, "") == ("" if inner is None else str(inner))


def test_json_has_the_measured_conditions() -> None:
    first = json.loads(pairs_text("json"))["pairs"][0]
    assert (first["protocol"], first["eval_arch"], first["cells"]) == ("quick-v1", "convnet3", 1)
    assert first["difference"]["interval"] == "t"


@pytest.mark.parametrize("text", [pairs_text, grid_text])
def test_latex_is_balanced(text: object) -> None:
    latex = text("latex")
    assert latex.count(r"\begin{") == latex.count(r"\end{")
    assert "A against B" in latex or "Over the grid" in latex


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_at_every_call(format: str) -> None:
    assert (pairs_text(format), grid_text(format)) == (pairs_text(format), grid_text(format))


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown format 'html'"):
        pairs_text("html")
