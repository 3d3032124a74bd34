"""Every format, byte for byte. BENCH_UPDATE_GOLDEN=1 rewrites the files; read the difference."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from report.paper_rows import evaluations, tables
from report_rows import evaluation
from rich.console import Console

from bench.report.aggregate import collect
from bench.report.paper.build import paper_tables
from bench.report.paper.latex import document
from bench.report.paper.layout import Layout
from bench.report.paper.model import Note
from bench.report.paper.render import RENDERERS, render_paper
from bench.report.paper.screen import print_paper
from bench.report.published.sources import bibliography, load_sources
from bench.support.errors import UnknownNameError

GOLDEN = Path(__file__).parent / "golden"
LAYOUTS = {
    "under": Layout(),
    "beside": Layout(placement="beside"),
    "transposed": Layout(transposed=True, datasets=("svhn",), ipcs=(50, 1)),
}


def check(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("BENCH_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("format", list(RENDERERS))
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_format(layout: str, format: str) -> None:
    check(f"{layout}.{format}", render_paper(tables(LAYOUTS[layout]), format))


@pytest.mark.parametrize("width", [60, 120])
def test_terminal(width: int) -> None:
    out = io.StringIO()
    print_paper(tables(), Console(file=out, width=width, color_system=None))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    check(f"terminal-{width}.txt", "\n".join(lines) + "\n")


def test_unknown_format() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'latex'"):
        render_paper(tables(), "latx")


def test_every_format_has_the_same_numbers() -> None:
    (table,) = tables()
    own = [e.text for line in table.entries for e in line if e.value is not None]
    for format in RENDERERS:
        text = render_paper([table], format).replace(r"$\pm$", "±")
        assert [one for one in own if one not in text] == [], format


def test_json_says_what_an_entry_is_made_of() -> None:
    (table,) = json.loads(render_paper(tables(), "json"))["tables"]
    entries = [entry for line in table["entries"] for entry in line]
    ours = [entry for entry in entries if "cell_ids" in entry]
    assert all(len(entry["cell_ids"]) == entry["seeds"] for entry in ours)
    assert {entry["state"] for entry in entries} >= {"ok", "failed", "skipped", "covered"}


@pytest.mark.parametrize("format", list(RENDERERS))
def test_what_was_chosen_on_the_test_set_is_marked_at_its_number(format: str) -> None:
    last = evaluation(method="dm", cell_id="dm")
    best = replace(
        last, method="random", selection="test-oracle", protocol="dim-oracle-v1", cell_id="best"
    )
    mark = r"$^{\dagger}$" if format == "latex" else "†"
    number = r"26.5 $\pm$ 0.7" if format == "latex" else "26.5 ± 0.7"
    alone, joined, plain, times = (
        render_paper(paper_tables(collect(cells), layout=layout), format)
        for cells, layout in (
            ([best], Layout()),
            ([best, last], Layout(join_protocols=True)),
            ([last], Layout()),
            ([best], Layout(quantity="time")),
        )
    )
    notes = 0 if format == "csv" else 1  # which has none
    for text in (alone, joined):
        assert text.count(mark) == 1 + notes
        assert text.count(number + mark) == 1
        assert text.count(f"{mark} The epoch was chosen on the test set") == notes
    assert mark not in plain + times
    assert joined.count(number) == 2


def test_text_of_records_is_escaped() -> None:
    hostile = "<script>alert(1)</script>&|_$"
    rows = collect([replace(e, method=hostile, dataset=hostile) for e in evaluations()])
    made = paper_tables(rows)
    assert "<script" not in render_paper(made, "html")
    assert "<script" not in render_paper(made, "md").replace("\\<", "")
    assert "|_$" not in render_paper(made, "latex")


def test_long_notes_stand_below_the_float_where_they_may_break() -> None:
    (table,) = tables()
    short = render_paper([table], "latex")
    long = render_paper([replace(table, notes=(*table.notes, Note("", "word " * 500)))], "latex")
    assert short.rstrip().endswith(r"\end{table}")
    assert long.index("word word") > long.index(r"\end{table}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_latex_compiles(layout: str, tmp_path: Path) -> None:
    (tmp_path / "sources.bib").write_text(bibliography(load_sources()))
    (tmp_path / "t.tex").write_text(document(tables(LAYOUTS[layout]), "sources"))
    result = compile_latex(tmp_path)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "Overfull" not in result.stdout
    assert (tmp_path / "t.pdf").stat().st_size > 10_000


def compile_latex(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
