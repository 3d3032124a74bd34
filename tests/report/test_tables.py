"""Tables: what every format must say, escaping, widths, and what machines read back."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rows import evaluation, example_evaluations, example_failures, failure
from rich.console import Console

from bench.report.estimates import SPREADS
from bench.report.latex import escape as latex_escape
from bench.report.latex import latex
from bench.report.published.read import load_published
from bench.report.tables import FORMATS, failure_notes, render
from bench.report.terminal import print_report
from bench.support.document import Section, make_sheet
from bench.support.errors import BenchError
from bench.support.markdown import escape as markdown_escape

NO_FAILURES = []


def sheet_rows(markdown: str, caption: str) -> list[list[str]]:
    """Return the cells of the first table under a caption, header first."""
    lines = markdown.split(f"**{caption}**", 1)[1].strip().splitlines()
    table = lines[: lines.index("") if "" in lines else None]
    return [[c.strip() for c in line.strip("|").split("|")] for line in (table[0], *table[2:])]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_names_profile_and_protocol(format: str) -> None:
    text = render(example_evaluations(), example_failures(), format=format)
    assert "lite" in text
    assert "quick-v1" in text
    assert "loss is NaN at step 412" in text
    assert "went through JPEG" in text


def test_grid_is_as_papers_print_it() -> None:
    grid = sheet_rows(render(example_evaluations(), NO_FAILURES, format="md"), "Accuracy")
    assert grid[0] == ["Method", "Mode", "Profile", "IPC 1", "IPC 10", "IPC 50", "All images"]
    assert [row[:3] for row in grid[1:]] == [
        ["Random", "stored", "any"], ["Herding", "stored", "any"], ["DM", "stored", "lite"],
        ["GAN", "stream", "lite"], ["GAN", "frozen", "lite"], ["DiM", "stream", "lite"],
        ["DiM", "frozen", "lite"], ["Whole dataset", "stored", "any"],
    ]  # fmt: skip
    assert grid[6][3:] == ["26.5 ± 0.4", "39.5 ± 0.4", "54.5 ± 0.4", ""]
    assert grid[8][3:] == ["", "", "", "84.1 ± 0.3ᵃ"]


def test_every_table_says_how_many_threads_computed() -> None:
    some = [
        evaluation(seed=seed, cell_id=f"e{seed}", distil_id=f"d{seed}", threads=2, distil_threads=n)
        for seed, n in enumerate((4, 1, 4))
    ]
    said = "Threads of a process: 1 or 4 to distil; 2 to evaluate."
    assert said in render(some, NO_FAILURES, format="md")
    assert said in render(some, NO_FAILURES, format="latex")
    same = [evaluation(threads=4, distil_threads=4)]
    assert "Threads of a process: 4." in render(same, NO_FAILURES, format="md")
    old = [evaluation(threads=0, distil_threads=0)]
    assert "Threads" not in render(old, NO_FAILURES, format="md")
    imported = [evaluation(threads=2, distil_threads=0)]
    assert "Threads of a process: 2 to evaluate." in render(imported, NO_FAILURES, format="md")


def test_second_ipc_of_a_generator_costs_nothing() -> None:
    budgets = sheet_rows(render(example_evaluations(), NO_FAILURES, format="md"), "Budgets")
    columns = [budgets[0].index(name) for name in ("IPC", "New distil steps", "New distil time")]
    dim = [[row[i] for i in columns] for row in budgets if row[0] == "DiM"]
    assert dim[0] == ["1", "12,000", "1 h 14 min"]
    assert all(row[1:] == ["0 (shared)", "0 (shared)"] for row in dim[1:])


@pytest.mark.parametrize(
    "changes",
    [{"profile": "paper"}, {"protocol": "default-v1"}, {"precision": "bf16"},
     {"selection": "test-oracle"}, {"dataset_sha256": "f" * 64}, {"n_test": 100}],
)  # fmt: skip
def test_lite_and_other_numbers_stand_apart(changes: dict[str, object]) -> None:
    lite = evaluation(profile="lite", accuracies=[20.0, 20.0])
    other = evaluation(**{"profile": "lite", **changes}, accuracies=[80.0, 80.0], cell_id="e1")
    text = render([lite, other], NO_FAILURES, format="md")
    assert "20.0 ± 0.0" in text
    assert "80.0 ± 0.0" in text
    assert "50.0" not in text


def test_two_data_of_one_name_are_told_apart() -> None:
    frame = [evaluation(), evaluation(dataset_sha256="f" * 64, cell_id="e1")]
    assert re.findall(r"cifar10 \\\[(\w+)\\\]", render(frame, NO_FAILURES, format="md")) == [
        "cccccccc", "ffffffff",
    ]  # fmt: skip


def test_oracle_selection_is_marked_at_every_number() -> None:
    frame = [evaluation(selection="test-oracle")]
    text = render(frame, NO_FAILURES, format="md")
    assert text.count("26.5 ± 0.7†") == 2
    assert "† The epoch was chosen on the test set" in text


def test_one_net_has_no_spread() -> None:
    grid = sheet_rows(render([evaluation(accuracies=[26.0])], NO_FAILURES, format="md"), "Accuracy")
    assert grid[1][-1] == "26.0"


@pytest.mark.parametrize(
    ("spread", "accuracy", "note"),
    [
        ("sd", "55.0 ± 5.6", "sample standard deviation over all nets of all seeds pooled"),
        ("se", "55.0 ± 5.0", "standard error of the mean, from the means of the seeds"),
        ("ci95", "55.0 ± 63.5", "half the 95 % interval of the mean, from the means of the seeds"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_the_spread_and_says_what_it_is(
    format: str, spread: str, accuracy: str, note: str
) -> None:
    seeds = [
        evaluation(accuracies=[50.0, 50.0], cell_id="a"),
        evaluation(accuracies=[60.0, 60.0, 60.0], seed=1, cell_id="b"),
    ]
    text = render(seeds, NO_FAILURES, format=format, spread=spread)
    if format in ("md", "latex"):
        escape = markdown_escape if format == "md" else latex_escape
        assert escape(accuracy) in text
        assert escape(note) in text
        assert "single seed" not in text
        return
    lines = csv.DictReader(io.StringIO(text)) if format == "csv" else json.loads(text)["results"]
    (line,) = lines
    value = float(accuracy.partition(" ± ")[2])
    assert (line["spread"], line["error_over"]) == (spread, "sets")
    assert float(line["plus_minus"]) == pytest.approx(value, abs=0.05)
    assert [float(line[name]) for name in ("se", "ci95")] == pytest.approx([5.0, 63.531], abs=1e-3)


def test_one_seed_is_said_to_have_the_error_of_its_networks() -> None:
    for spread in SPREADS:
        text = render([evaluation()], NO_FAILURES, format="md", spread=spread)
        assert "1 seed × 2 nets (n = 2)." in text
        assert "Of a single seed, and of one set for all seeds, ± is over networks only" in text
    assert "Of a single seed" not in render(
        [evaluation(accuracies=[1.0])], NO_FAILURES, format="md"
    )


SPECIALS = r"50% & a_b #1 $x {y} ~ ^ \ | * ` <b> [c]"


def test_markdown_escapes_what_would_be_markup() -> None:
    escaped = markdown_escape(SPECIALS)
    assert re.search(r"(?<!\\)[|*`<>_&\[\]]", escaped) is None
    text = render([evaluation(method=SPECIALS)], NO_FAILURES, format="md")
    header, rule, row = text.split("**Accuracy**")[1].strip().splitlines()[:3]
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in (header, rule, row)]
    assert len(set(bars)) == 1


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=40))
def test_latex_escapes_every_special(text: str) -> None:
    escaped = latex_escape(text)
    command = r"\\(?:text\w+\{\}|ldots\{\}|[&%$#_{}])|(?<=-)\{\}(?=-)"
    assert re.search(r"[\\&%$#_{}~^<>|]", re.sub(command, "", escaped)) is None


def test_latex_sets_the_signs_of_our_own() -> None:
    assert latex_escape("26.5 ± 0.7†ᵃ") == r"26.5 $\pm$ 0.7$^{\dagger}$$^{\mathrm{a}}$"
    assert latex_escape("2 × 3 −1") == r"2 $\times$ 3 $-$1"


@pytest.mark.parametrize("published", [None, load_published()], ids=["alone", "published"])
def test_latex_is_balanced_and_rows_fit_their_columns(published: list[object] | None) -> None:
    text = render(example_evaluations(), example_failures(), format="latex", published=published)
    for name in ("table", "tabular", "longtable"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}")
    assert ("longtable" in text.split("\n", 1)[1]) == (published is not None)
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    spec = r"\\begin\{(?:tabular|longtable)\}\{([lr]+(?:p\{.*?\})?)\}(.*?)\\end\{"
    for columns, body in re.findall(spec, text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        between = len(re.sub(r"p\{.*", "p", columns)) - 1
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {between}


def test_latex_puts_a_short_sheet_in_a_float_and_a_long_one_on_pages() -> None:
    columns = (("A", False), ("B", True))
    short = make_sheet("s", columns, [("x", "1")])
    long = make_sheet("s", columns, [("x", "1")] * 41)
    assert "longtable" not in latex([Section("T", sheets=(short,))]).split("\n", 1)[1]
    wide = make_sheet("s", [("A", False)] * 10, [["x"] * 10])
    assert r"\begin{longtable}{lr}" in latex([Section("T", sheets=(long,))])
    assert r"{lllllllllp{0.2\linewidth}}" in latex([Section("T", sheets=(wide,))])


def test_a_sheet_refuses_a_row_of_another_length() -> None:
    with pytest.raises(ValueError, match="does not have 2 texts"):
        make_sheet("s", (("A", False), ("B", True)), [("x",)])


def test_csv_is_the_long_form_unrounded() -> None:
    text = render(example_evaluations(), example_failures(), format="csv")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 44
    first = lines[0]
    assert (first["method"], first["profile"], first["ipc"]) == ("random", "any", "1")
    assert float(first["mean"]) == pytest.approx(14.475)
    assert len(first["std"]) > 6
    assert first["accuracies"].count(";") == 3
    assert [line["ipc"] for line in lines if line["method"] == "whole"] == [""]
    assert [line["reason"] for line in lines if line["status"] == "failed"] == [
        "loss is NaN at step 412"
    ]


def test_csv_repeats_a_result_for_each_source() -> None:
    text = render([evaluation()], NO_FAILURES, format="csv", published=load_published())
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 7
    assert {line["mean"] for line in lines} == {"26.5"}
    assert all(line["published_source"] for line in lines)
    assert all(line["published_differs"].startswith("protocol quick-v1") for line in lines)
    assert {line["published_no_verdict_because"] for line in lines} == {
        "we differ; one seed", "we differ; one seed; no ± in print",
    }  # fmt: skip


def test_json_holds_what_the_table_holds() -> None:
    data = json.loads(render(example_evaluations(), example_failures(), format="json"))
    assert len(data["results"]) == 43
    assert len(data["failures"]) == 1
    assert "published" not in data["results"][0]
    assert data["results"][0]["accuracies"] == [14.0, 14.9, 14.4, 14.6]
    assert next(r for r in data["results"] if r["method"] == "whole")["ipc"] is None


def test_json_lists_each_source_under_its_result() -> None:
    frame = [evaluation(), evaluation(dataset="digits", cell_id="e1")]
    data = json.loads(render(frame, NO_FAILURES, format="json", published=load_published()))
    assert [len(result["published"]) for result in data["results"]] == [7, 0]
    assert data["results"][0]["published"][0]["difference"] == pytest.approx(-4.5)


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(BenchError, match="unknown table format 'html'"):
        render(example_evaluations(), NO_FAILURES, format="html")


@pytest.mark.parametrize("format", FORMATS)
def test_failures_alone_are_still_reported(format: str) -> None:
    assert "loss is NaN" in render([], example_failures(), format=format)


def test_failures_of_one_reason_share_a_sentence() -> None:
    failures = [
        failure(status="skipped", reason="class too small", ipc=i, seed=s, cell_id=f"{i}{s}")
        for i in (50, 10)
        for s in (1, 0)
    ]
    assert failure_notes(failures) == [
        "dm on svhn (IPC 10, 50; stored; convnet3; profile lite; seed 0, 1): "
        "4 cells skipped: class too small."
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_terminal_report_fits(width: int) -> None:
    out = io.StringIO()
    print_report(example_evaluations(), example_failures(), Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    header = next(line for line in lines if line.startswith(" Method"))
    assert "Accuracy" in header
    assert "Profile" in header
    assert ("Shown" in header) == (width >= 120)
    assert any("26.5 ± 0.4" in line for line in lines)


LONG = "iterations=1, syn_steps=1, lr_img=0.5, lr_lr=0.0, step_size=0.02, max_start_epoch=40"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("changed", ["", "ipc=2", LONG])
def test_method_ipc_and_accuracy_are_on_one_line_at_every_width(width: int, changed: str) -> None:
    rows = [
        evaluation(
            method="a_plugin_of_mine", changed=changed, ipc=ipc, profile="custom", arch="resnet18",
            labels="soft", origin="imported", accuracies=[26.0, 27.0], cell_id=f"e{ipc}",
        )
        for ipc in (1, 10)
    ]  # fmt: skip
    out = io.StringIO()
    print_report(rows, NO_FAILURES, Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for header in ("Method", "IPC", "Accuracy"):
        assert any(header in line for line in lines)
    for ipc in (1, 10):
        row = re.compile(rf"a_plugin_of_mine\b.*\b{ipc}\s+26\.5 ± 0\.7")
        assert any(row.search(line) for line in lines)
    text = "".join(out.getvalue().split())
    for part in changed.split(", "):
        assert part in text.replace("─", "")
    assert "…" not in text
