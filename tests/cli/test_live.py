"""The live grid shows each cell's outcome and the loop that runs; notes stay above it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from bench.cli.live import LiveReporter, PlainReporter, make_reporter
from bench.ledger.cell import DistilCell, EvaluateCell

MADE = DistilCell("dm", 1, {}, "digits", "ab", 10, "convnet3", 0, "fp32", "lite")
EVALUATION = EvaluateCell(MADE, 10, "stored", "convnet3", "quick", 1, 2, "fp32")


def draw(view: LiveReporter) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(view)
    return console.file.getvalue()


def test_live_grid() -> None:
    out = io.StringIO()
    view = LiveReporter(Console(file=out, width=100, force_terminal=True))
    view.begin([MADE, EVALUATION], {MADE.id: 10.0, EVALUATION.id: 50.0})
    try:
        assert "IPC 10" in draw(view)
        assert "time left 60 s" in draw(view)
        view.start(MADE)
        view.progress(MADE, 5, 20, "steps", {"loss": 1.25})
        assert "5/20 steps  loss 1.25" in draw(view)
        view.finish(MADE, "ok", "20 steps", 1.0)
        view.finish(EVALUATION, "ok", "91.5 %", 2.0)
        assert "91.5 %" in draw(view)
        assert "2/2 cells" in draw(view)
        view.note("a record was damaged [it really was]")
    finally:
        view.end()
    assert "a record was damaged [it really was]" in out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80])
def test_live_grid_keeps_methods_and_accuracies(width: int) -> None:
    view = LiveReporter(Console(file=io.StringIO(), width=width, force_terminal=True))
    made = replace(MADE, dataset="imagenette128", method="a_plugin_of_mine")
    large = replace(EVALUATION, distil=made, arch="resnet18_ap(width=4)")
    cells = [replace(large, ipc=ipc) for ipc in (1, 10)]
    view.begin(cells, {})
    for cell in cells:
        view.finish(cell, "ok", "91.5 %", 2.0)
    view.end()
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    lines = console.file.getvalue().splitlines()
    assert any(re.search(r"a_plugin_of_mine.*91\.5 %.*91\.5 %", line) for line in lines)
    assert "imagenette128" in console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_titles_and_bars_of_several_workers_have_lines_of_their_own(width: int) -> None:
    view = LiveReporter(Console(file=io.StringIO(), width=width, height=30, force_terminal=True))
    other = replace(EVALUATION, ipc=1)
    view.begin([MADE, EVALUATION, other], {})
    view.progress(EVALUATION, 30, 600, "epochs", {"loss": 1.25})
    view.start(other)
    view.end()
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[-5] == EVALUATION.title
    assert re.fullmatch(r"━+\S* +30/600 epochs  loss 1.25", lines[-4])
    assert lines[-3] == other.title
    assert re.fullmatch(r"━*\S* +starts", lines[-2])
    assert lines[-1].startswith("0/3 cells, time left")


@pytest.mark.parametrize("width", [40, 80])
def test_a_grid_higher_than_the_screen_keeps_what_runs_in_sight(width: int) -> None:
    view = LiveReporter(Console(file=io.StringIO(), width=width, height=20, force_terminal=True))
    cells = [replace(EVALUATION, distil=replace(MADE, seed=seed)) for seed in range(60)]
    view.begin(cells, {})
    for cell in cells[:40]:
        view.finish(cell, "ok", f"{cell.distil.seed}.5 %", 1.0)
    view.start(cells[40])
    view.end()
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= 20
    assert re.search(r"and \d+ more rows", lines[-4])
    assert "40/60 cells" in lines[-1]
    assert any("39.5 %" in line for line in lines)
    assert not any("38.5 %" in line for line in lines)


def test_live_view_says_why_a_distillation_failed() -> None:
    out = io.StringIO()
    view = LiveReporter(Console(file=out, width=120, force_terminal=True))
    view.begin([MADE, EVALUATION], {})
    view.finish(MADE, "failed", "loss is nan at step 3", 1.0)
    view.finish(EVALUATION, "failed", "it needs ...", 1.0)
    view.end()
    assert "loss is nan at step 3" in out.getvalue()
    assert "failed" in draw(view)


def test_plain_lines(capsys) -> None:
    view = PlainReporter()
    view.begin([MADE, EVALUATION], {})
    view.start(MADE)
    view.progress(MADE, 1, 20, "steps", {})
    view.finish(MADE, "ok", "20 steps", 3.0)
    view.finish(EVALUATION, "cached", "", 0.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "[1/2] dm on digits ipc 10 seed 0: ok 20 steps in 3 s",
        "[2/2] dm on digits ipc 10 stored, convnet3, quick-v1, seed 0: cached",
    ]


def test_a_cell_that_is_made_again_counts_once(capsys) -> None:
    view = PlainReporter()
    view.begin([MADE, EVALUATION], {})
    view.finish(MADE, "cached", "", 0.0)
    view.finish(MADE, "ok", "20 steps", 3.0)
    view.finish(EVALUATION, "ok", "91.5 %", 0.0)
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == [
        "[1/2]", "[1/2]", "[2/2]",
    ]  # fmt: skip


def test_without_a_terminal_lines_are_plain() -> None:
    assert isinstance(make_reporter(quiet=False), PlainReporter)


def test_json_comes_with_notes_and_no_progress(capsys) -> None:
    view = make_reporter(quiet=True)
    view.begin([MADE, EVALUATION], {})
    view.start(MADE)
    view.progress(MADE, 1, 20, "steps", {})
    view.note("'record.json' is damaged\x1b[2J")
    view.finish(MADE, "ok", "20 steps", 3.0)
    view.finish(EVALUATION, "failed", "it needs ...", 0.0)
    view.end()
    streams = capsys.readouterr()
    assert streams.out == ""
    (line,) = streams.err.splitlines()
    assert line.startswith("'record.json' is damaged")
    assert "\x1b" not in line
