"""Names and reasons that someone chose: shown as they are, without effect."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from bad_files import ESCAPES, MARKUP
from record_builders import evaluate_json, failed_json, record
from rich.console import Console

from bench.cli.live import LiveReporter, PlainReporter
from bench.ledger.cell import percent_mark
from bench.ledger.record_rows import load_rows
from bench.ledger.store import Store
from bench.report.plots import PLOTS
from bench.report.published.read import load_published
from bench.report.tables import FORMATS, render
from bench.report.terminal import print_report
from bench.support.safe_text import printable

# All that may change what a terminal or an editor shows; colours of our own apart.
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OUR_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def _spoilt(data: dict[str, Any], cell_id: str, text: str) -> dict[str, Any]:
    """Put a text into every field that may hold any."""
    data["id"] = cell_id
    for table in ("identity", "labels", "result", "environment"):
        for name, value in data[table].items():
            if isinstance(value, str) and name != "distil":
                data[table][name] = text
    data["reason"] = None if data["reason"] is None else f"{text}\n{text}"
    return data


TEXTS = [ESCAPES, MARKUP, "\n\r\t ", "x" * 300, "-" * 9, "=cmd|' /C calc'!A0"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return _filled(tmp_path / "store", TEXTS)


def _filled(root: Path, texts: Sequence[str]) -> Store:
    """Write two results and two failures for each text."""
    made = Store(root)
    for i, text in enumerate((*texts, *texts)):
        data = _spoilt(evaluate_json(), f"e{i}", text)
        data["identity"]["ipc"] = 1 + i // len(texts)
        made.write(record(data))
        made.write(record(_spoilt(failed_json(), f"f{i}", text)))
    return made


@pytest.mark.parametrize("format_", FORMATS)
def test_reports_hold_nothing_harmful(store: Store, format_: str) -> None:
    rows = load_rows(store.root)
    assert len(rows.evaluations) == len(rows.failures) == 2 * len(TEXTS)
    text = render(*rows, format=format_)
    assert HARMFUL.search(text) is None


def test_markdown_and_latex_hold_no_markup(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(record(_spoilt(evaluate_json(), "e0", MARKUP)))
    rows = load_rows(store.root)
    told = render(*rows, format="md")
    assert "<script>" not in told
    lines = [line for line in told.splitlines() if line.startswith("|")]
    assert lines
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) in {
            len(re.findall(r"(?<!\\)\|", r)) for r in lines
        }
        assert not re.search(r"(?<!\\)[<`]", line)
    latex = render(*rows, format="latex")
    assert "\\input" not in latex
    assert "\\frac" not in latex
    assert r"\textbackslash{}input\{x\}" in latex


def test_the_terminal_shows_no_effect(store: Store) -> None:
    rows = load_rows(store.root)
    out = io.StringIO()
    print_report(*rows, Console(file=out, force_terminal=True, width=200))
    text = OUR_COLOURS.sub("", out.getvalue())
    assert HARMFUL.search(text) is None


@pytest.mark.parametrize("kind", [name for name in PLOTS if name != "gallery"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("empty_pdfs")
def test_plots_are_drawn_where_they_should_be(kind: str, tmp_path: Path) -> None:
    store = _filled(tmp_path / "store", [ESCAPES + MARKUP])
    # Architectures to compare, methods to rank, and sets before the last step to join with it.
    settings = product(("convnet3", "resnet18"), ("dm", MARKUP), (5, 10))
    for i, (arch, method, steps) in enumerate(settings):
        data = evaluate_json(f"j{i}", arch=arch, distil=f"d{steps}")
        data["labels"] |= {
            "method": method, "profile": "custom", "dataset_note": MARKUP,
            "changed": f"lite: {MARKUP}",
        }  # fmt: skip
        data["cost"]["distil_steps"] = steps
        if steps == 5:
            data["labels"] |= {
                "changed": f"{data['labels']['changed']}, {percent_mark(50)}", "percent": 50,
            }  # fmt: skip
        store.write(record(data))
    rows = load_rows(store.root, unfinished=kind == "learning")
    out = tmp_path / "out"
    for path in PLOTS[kind](rows.evaluations, out):
        assert path.parent == out
        assert path.stat().st_size > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "store"]


def test_notes_of_a_run_have_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    PlainReporter().note(ESCAPES)
    assert printable(ESCAPES) in capsys.readouterr().err
    out = io.StringIO()
    LiveReporter(Console(file=out, force_terminal=True, width=500)).note(f"{ESCAPES} {MARKUP}")
    text = OUR_COLOURS.sub("", out.getvalue())
    assert HARMFUL.search(text) is None
    assert MARKUP in text


def test_printable_keeps_what_is_harmless() -> None:
    assert printable("48.3 ± 0.4, é, 文\n\tx") == "48.3 ± 0.4, é, 文\n\tx"
    assert printable("\x1b[31m\x9b\u202e\r\ud800") == "\\x1b[31m\\x9b\\u202e\\x0d\\ud800"


# --- published numbers -------------------------------------------------------------------------

HEAD = "method,dataset,ipc,train_arch,eval_arch,accuracy,std,protocol_note,reported_in,source\n"
LINE = "dm,digits,10,convnet3,resnet18,50,1,note,table 1,paper\n"


def _numbers(**changes: str) -> bytes:
    values = dict(zip(HEAD.strip().split(","), LINE.strip().split(","), strict=True))
    return (HEAD + ",".join({**values, **changes}.values()) + "\n").encode()


CSV: dict[str, bytes] = {
    "empty": b"",
    "not UTF-8": HEAD.encode() + b"\xff\xfe",
    "another file": b"\x00\x01\x02" * 1000,
    "a huge field": _numbers(source='"' + "x" * 200_000 + '"'),
    "a quote that never ends": HEAD.encode() + b'"' + b"x" * 200_000,
    "a field too few": HEAD.encode() + b"dm,digits\n",
    "accuracy NaN": _numbers(accuracy="nan"),
    "accuracy of a thousand": _numbers(accuracy="1000"),
    "std NaN": _numbers(std="nan"),
    "std infinite": _numbers(std="inf"),
    "std below none": _numbers(std="-1"),
    "ipc of thousands of digits": _numbers(ipc="9" * 4000),
    "ipc of more digits than Python reads": _numbers(ipc="9" * 5000),
    "ipc below one": _numbers(ipc="-1"),
    "gigabytes": b"",
}


@pytest.mark.parametrize("name", CSV)
def test_published_numbers_that_are_none(tmp_path: Path, name: str) -> None:
    from bench.support.errors import BenchError

    path = tmp_path / "numbers.csv"
    path.write_bytes(CSV[name])
    if name == "gigabytes":
        with path.open("r+b") as file:
            file.truncate(2**40)
    with pytest.raises(BenchError) as caught:
        load_published(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("format_", FORMATS)
def test_published_texts_have_no_effect(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "numbers.csv"
    texts = {"source": f'"{ESCAPES}"', "protocol_note": f'"{MARKUP}"'}
    path.write_bytes(_numbers(**texts))
    store = Store(tmp_path / "store")
    store.write(record(evaluate_json()))
    rows = load_rows(store.root)
    text = render(*rows, format=format_, published=load_published(path))
    assert "owned" in text
    assert HARMFUL.search(text) is None


def test_the_checks_here_find_what_they_should() -> None:
    assert HARMFUL.search(ESCAPES)
    assert OUR_COLOURS.sub("", "\x1b[1;31mred\x1b[0m") == "red"
    assert HARMFUL.search(OUR_COLOURS.sub("", ESCAPES))
