"""Comparisons in every format: the same numbers, and sentences that say what they are."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from grid_of_rows import measured
from test_grid import grid

from bench.ledger.rows import Evaluation
from bench.report.comparison.contenders import find_contenders, select_contenders
from bench.report.comparison.dd_ranking import score_lines
from bench.report.comparison.grid import grid_lines
from bench.report.comparison.pairs import compare_pairs
from bench.report.comparison.report import Items, render
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
    assert "Ranks are among 4 methods, over the 2 cells and 3 seeds that all of these have" in text
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
                text = "; ".join(map(str, inner)) if isinstance(inner, list) else inner
                assert line.get(column, "") == ("" if text is None else str(text))


def test_json_has_the_measured_conditions() -> None:
    first = json.loads(pairs_text("json"))["pairs"][0]
    assert (first["protocol"], first["eval_arch"], first["cells"]) == ("quick-v1", "convnet3", 1)
    assert first["difference"]["interval"] == "t"


def lines_of(evaluations: list[Evaluation]) -> dict[str, Items]:
    """Return what each kind of comparison prints of evaluations."""
    every = find_contenders(evaluations)
    return {
        "pairs": compare_pairs(select_contenders(evaluations, ["dm", "random"])),
        "grid": grid_lines(every),
        "scores": score_lines([one for one in every if one.method == "dm"], every),
    }


@pytest.mark.parametrize("kind", ["pairs", "grid", "scores"])
def test_the_threads_stand_under_every_table(kind: str) -> None:
    mixed = [replace(one, threads=8 if one.method == "random" else 2) for one in grid()]
    items = lines_of(mixed)[kind]
    said = "Threads of a process: 1 to distil; 2 or 8 to evaluate."
    assert f"- {said}\n" in render(kind, items, format="md")
    assert said in render(kind, items, format="latex")
    (record, *_) = json.loads(render(kind, items, format="json"))[kind]
    assert record["distil_threads"] == [1]
    unknown = [replace(one, threads=0, distil_threads=0) for one in mixed]
    assert "Threads" not in render(kind, lines_of(unknown)[kind], format="md")


def test_a_comparison_has_the_threads_of_its_own_results_only() -> None:
    mixed = [replace(one, threads=8 if one.method == "herding" else 2) for one in grid()]
    lines = {line.label: line.threads for line in grid_lines(find_contenders(mixed))}
    assert (lines["Herding"], lines["DM"]) == ((8,), (2,))
    pairs = compare_pairs(select_contenders(mixed, ["dm", "random"]))
    assert {pair.threads for pair in pairs} == {(2,)}


def test_a_score_has_the_threads_of_what_it_is_compared_with() -> None:
    plain = {"random": 4, "dm": 2}
    augmented = {"random": 8, "dm": 16, "whole": 32}
    evaluations = [
        replace(one, threads=threads)
        for protocol, counts in (("plain-v1", plain), ("default-v1", augmented))
        for method, threads in counts.items()
        for one in measured(
            method, {0: [50.0]}, protocol=protocol, ipc=None if method == "whole" else 1
        )
    ]
    every = find_contenders(evaluations)
    lines = {line.measured.protocol: line for line in score_lines(every, every)}
    assert lines["default-v1"].threads == (2, 4, 8, 16, 32)
    assert lines["plain-v1"].threads == (2, 4)


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
