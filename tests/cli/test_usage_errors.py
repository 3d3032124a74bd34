"""Wrong command lines: one line in the project's style, what is allowed, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from report_rows import evaluation, write_store

from bench.cli import main
from bench.cli.options import parse_seconds
from bench.support.errors import BenchError


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run", "--metod", "random"], ["No such option '--metod'", "--method"]),
        (["table", "--format", "xml"], ["unknown value of --format 'xml'. Known: csv, html, json"]),
        (["plot", "acuracy"], ["unknown kind 'acuracy'. Did you mean 'accuracy'?"]),
        (["plot"], ["Missing argument", "accuracy, cost"]),
        (["tabel"], ["unknown command 'tabel'. Did you mean 'table'?"]),
        (["data", "fetsh"], ["unknown command of `", "data` 'fetsh'. Did you mean 'fetch'?"]),
        (["run", "--seeds", "x"], ["--seeds 'x' is not allowed: it must be a whole number from 1"]),
        (["run", "--seeds", "0"], ["--seeds 0 is not allowed: it must be a whole number from 1"]),
        (["run", "--workers", "-1"], ["--workers -1 is not allowed: it must be a whole number"]),
        (["run", "--checkpoint-every", "nan"], ["--checkpoint-every 'nan' is not a finite number"]),
        (["run", "--cpus-per-cell", "0"],
         ["--cpus-per-cell 0.0 is not allowed: it must be a number above 0"]),
        (["run", "-m", "random", "-d", "digits", "--profile", "lit"], ["Did you mean 'lite'?"]),
        (["run"], ["name at least one --method: cafe,"]),
        (["run", "-m", "random"], ["name at least one --dataset; `bench list datasets`"]),
        (["archive"], ["Missing option '--output'", "archive --help` says what is allowed"]),
        (["run", "--time-budget", "8", "-m", "random"],
         ["--time-budget '8' is not a length of time like 8h"]),
        (["run", "-m", "dm,random", "-d", "digits", "--mode", "stream"],
         ["mode stream is not one of any chosen method: dm has stored; random has stored",
          "Methods with it: dim, gan, real-stream."]),
        (["run", "-m", "real-stream", "-d", "digits", "--mode", "frozen"],
         ["real-stream has stream. Methods with it: dim, gan."]),
        (["run", "-m", "random", "-d", "digit"], ["Did you mean 'digits'?", "bench data import"]),
        (["data", "fetch", "foods"], ["unknown dataset 'foods'", "bench data import"]),
        (["show", "quick-v2"], ["unknown", "'quick-v2'"]),
        # An unset variable of a shell is no wish for everything.
        (["run", "-m", "random", "-d", "digits", "--evaluate-at", ""],
         ["'--evaluate-at': the list is empty: name at least one"]),
        (["run", "-m", "random", "-d", "digits", "--stored-as", " , "], ["the list is empty"]),
        (["table", "--dataset", ""], ["'--dataset': the list is empty"]),
        (["compare", "--method", ""], ["the list is empty"]),
        (["speed", "--stage", ""], ["the list is empty"]),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(words: list[str], parts: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert result.output.startswith("error: ")
    assert len(result.output.strip().splitlines()) == 1
    for part in parts:
        assert part in result.output


def test_help_and_version_end_well() -> None:
    for words in (["--help"], ["--version"], ["run", "--help"], ["data", "--help"]):
        assert CliRunner().invoke(main, words).exit_code == 0


def test_a_protocol_is_shown_by_the_name_that_tables_print() -> None:
    plain, versioned = (CliRunner().invoke(main, ["show", name]) for name in ("quick", "quick-v1"))
    assert versioned.exit_code == 0
    assert versioned.output == plain.output
    assert versioned.output.startswith("quick-v1  (protocol)")


def test_a_versioned_protocol_is_taken_wherever_one_is_named(tmp_path: Path) -> None:
    write_store(tmp_path, [evaluation(protocol="quick-v1")])
    store = ["--store", str(tmp_path)]
    for words in (
        ["table", "--format", "md"],
        ["table", "--layout", "paper", "--format", "md"],
        ["compare"],
        ["report", "--output", str(tmp_path / "page")],
        ["plot", "accuracy", "--output", str(tmp_path / "plots")],
    ):
        for name in ("quick", "quick-v1"):
            result = CliRunner().invoke(main, [*words, *store, "--protocol", name])
            assert result.exit_code == 0, (words, name, result.output)
        wrong = CliRunner().invoke(main, [*words, *store, "--protocol", "quick-v7"])
        assert (wrong.exit_code, wrong.output.count("quick-v7")) == (2, 1), wrong.output


@pytest.mark.parametrize(("text", "seconds"), [("8h", 28800), ("1h30m", 5400), ("1.5s", 1.5)])
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["8", "1h30", "", "h", "8 hours", "-1s"])
def test_lengths_of_time_need_units(text: str) -> None:
    with pytest.raises(BenchError, match="is not a length of time"):
        parse_seconds(text)
