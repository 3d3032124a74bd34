"""The report page without a browser: its numbers, its escaping, and that it stands alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from report_rows import (
    evaluation,
    example_evaluations,
    example_failures,
    failure,
    write_store,
)
from striped_sets import save_stripes

from bench.cli import main
from bench.ledger.cell import percent_mark
from bench.ledger.record_rows import load_rows
from bench.ledger.rows import Evaluation, Rows
from bench.ledger.store import Store
from bench.report.aggregate import collect
from bench.report.page.axis import BOTTOM, HEIGHT, LEFT, TOP, WIDTH
from bench.report.page.chart import charts_of, learning_charts_of
from bench.report.page.content import Page, make_page
from bench.report.page.markers import marker_path
from bench.report.page.render import in_script, render_page
from bench.report.paper.build import paper_tables
from bench.report.paper.html import table_style, to_html

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "link", "input", "img", "br"}


class Elements(HTMLParser):
    """Reads a page: its elements, whether they are closed, and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        # Items, cells and lines need no end.
        while self.open and self.open[-1] != tag and self.open[-1] in ("li", "p", "td", "th", "tr"):
            self.open.pop()
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), example_evaluations(), example_failures())


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def page_of(*evaluations: object, root: Path, failures: object = ()) -> Page:
    return make_page(Rows(list(evaluations), list(failures)), Store(root))  # type: ignore[call-overload, arg-type]


@pytest.fixture(scope="module")
def text(store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report")
    result = run("--store", store, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{out}/report.html")
    return (out / "report.html").read_text(encoding="utf-8")


def embedded(text: str) -> dict[str, str]:
    (content,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return dict(json.loads(content))


def test_the_numbers_are_those_of_the_table(text: str, store: Path) -> None:
    for form in ("json", "csv"):
        table = CliRunner().invoke(main, ["table", "--store", str(store), "--format", form])
        assert f"{store}/cells/" in table.output
        assert embedded(text)[form] == table.output.replace(f"{store}/", "")


def test_every_result_is_a_line_of_the_full_table(text: str) -> None:
    results = json.loads(embedded(text)["json"])["results"]
    (body,) = re.findall(r'<table id="table">.*?<tbody>(.*?)</tbody>', text, re.S)
    lines = re.findall(r"<tr>(.*?)</tr>", body, re.S)
    assert len(lines) == len(results)
    for line, result in zip(lines, results, strict=True):
        keys = re.findall(r'data-key="([^"]*)"', line)
        assert str(result["mean"]) in keys
        assert result["dataset"] in keys


def test_papers_tables_look_as_on_a_page_of_their_own(text: str) -> None:
    style = table_style()
    assert style in text
    assert style in to_html(paper_tables(collect(example_evaluations())))
    for rule in ("table.paper .best", "table.paper .second", "table.paper th[scope=row]"):
        assert (style.count(rule), text.count(rule)) == (1, 1)  # no second rule beside it


def test_elements_are_closed(text: str) -> None:
    assert Elements(text).open == []


def test_nothing_outside_the_file_is_needed(text: str) -> None:
    for tag, attributes in Elements(text).seen:
        for name in ("src", "href", "xlink:href", "action", "data"):
            address = attributes.get(name) or ""
            assert address.startswith(("#", "data:")) or not address, (tag, address)
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "@import" not in style
    assert "url(" not in style
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(", text)


def test_text_of_records_is_escaped(tmp_path: Path) -> None:
    evil = evaluation(
        method=EVIL, dataset=EVIL, changed=EVIL, eval_arch=EVIL, dataset_note=EVIL, ipc=10
    )
    page = page_of(evil, root=tmp_path, failures=[failure(reason=EVIL, method=EVIL)])
    text = render_page(page)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert len(re.findall("<script", text)) == 2  # the data and our own
    assert Elements(text).open == []
    result = json.loads(json.loads(re.findall(r'id="data">(.*?)</script>', text, re.S)[0])["json"])
    assert result["results"][0]["method"] == EVIL


@pytest.mark.parametrize("value", ["</script>", "<!--", "a & b", "\u2028\u2029", "é 漢"])
def test_data_in_a_script_cannot_end_it(value: str) -> None:
    text = in_script({"value": value})
    assert json.loads(text) == {"value": value}
    assert not set("<>&\u2028\u2029") & set(text)


def test_failures_have_their_reason(text: str) -> None:
    (section,) = re.findall(r'<section id="part-failures".*?</section>', text, re.S)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", section)
    assert cells == ["failed", "svhn", "dm", "50", "1", "lite", "convnet3",
                     "loss is NaN at step 412"]  # fmt: skip


def test_the_title_is_the_users(store: Path, tmp_path: Path) -> None:
    run("--store", store, "-o", tmp_path, "--title", "Mine & <yours>")
    assert "<title>Mine &amp; &lt;yours&gt;</title>" in (tmp_path / "report.html").read_text()


def test_filters_are_those_of_the_table(store: Path, tmp_path: Path) -> None:
    assert run("--store", store, "-o", tmp_path, "--dataset", "svhn").exit_code == 0
    results = json.loads(embedded((tmp_path / "report.html").read_text())["json"])["results"]
    assert {result["dataset"] for result in results} == {"svhn"}
    result = run("--store", store, "-o", tmp_path, "--dataset", "svnh")
    assert result.exit_code == 2
    assert "Did you mean" in result.output or "did you mean" in result.output


def test_an_empty_store_is_an_error(tmp_path: Path) -> None:
    result = run("--store", tmp_path / "none")
    assert result.exit_code == 2
    assert not (tmp_path / "report").exists()


def test_no_torch_is_needed(store: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from bench.cli import main; "
        f"main(['report', '--store', {str(store)!r}, '-o', {str(tmp_path)!r}], "
        "standalone_mode=False); assert 'torch' not in sys.modules; "
        "assert 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_points_are_inside_their_chart() -> None:
    for chart in charts_of(collect(example_evaluations())):
        assert {view.axis.name for view in chart.views} >= {"ipc", "steps", "bytes"}
        for view in chart.views:
            for line in view.lines:
                for point in line.points:
                    assert 0 < point.x < WIDTH
                    assert 0 < point.high <= point.y <= point.low < HEIGHT
            places = [place for place, _ in view.x_ticks]
            assert places == sorted(places)


def learned(percent: int | None, mean: float, **changes: Any) -> Evaluation:
    """Return what DM reaches after some of its steps."""
    name = "-".join(map(str, (percent, *changes.values())))
    changed = {"method": "dm", "profile": "lite", "changed": percent_mark(percent), **changes}
    return evaluation(
        percent=percent, accuracies=(mean, mean), cell_id=name, distil_id=name, **changed
    )


def test_a_learning_curve_has_a_point_for_each_share_of_the_steps() -> None:
    points = [learned(25, 30.0), learned(None, 50.0), learned(75, 45.0)]
    other = [learned(25, 60.0, ipc=50), learned(None, 70.0, ipc=50)]
    alone = learned(None, 20.0, profile="paper")
    (chart,) = learning_charts_of(collect([*points, *other, alone]))
    (view,) = chart.views
    assert [line.label for line in view.lines] == ["DM, IPC 10", "DM, IPC 50"]
    small, large = view.lines
    assert [point.text for point in small.points] == [
        "DM, IPC 10: 30.0 ± 0.0 % (steps of the distillation 25 %, n = 2)",
        "DM, IPC 10: 45.0 ± 0.0 % (steps of the distillation 75 %, n = 2)",
        "DM, IPC 10: 50.0 ± 0.0 % (steps of the distillation 100 %, n = 2)",
    ]
    places = [point.x - LEFT for point in small.points]
    assert places == pytest.approx([places[0], 3 * places[0], 4 * places[0]], abs=0.2)
    assert small.points[0].y > small.points[1].y > small.points[2].y
    assert small.size < large.size
    assert [text for _, text in view.x_ticks] == ["25 %", "75 %", "100 %"]
    assert learning_charts_of(collect([points[1], alone])) == ()


def test_the_learning_curve_of_a_stream_stands_beside_fresh_real_images() -> None:
    points = [learned(25, 30.0, mode="stream"), learned(None, 50.0, mode="stream")]
    real = learned(None, 60.0, method="real-stream", mode="stream", profile="any", distil_steps=1)
    (chart,) = learning_charts_of(collect([*points, real]))
    lines = {line.label: [point.x for point in line.points] for line in chart.views[0].lines}
    curve, reference = (next(xs for label, xs in lines.items() if name in label)
                        for name in ("DM", "Real stream"))  # fmt: skip
    assert reference == curve


def test_sets_before_the_last_step_are_in_learning_curves_only(tmp_path: Path) -> None:
    evaluations = [learned(25, 30.0), learned(50, 40.0), learned(None, 50.0)]
    page = page_of(*evaluations, root=tmp_path)
    assert [row.percent for row in page.rows] == [None]
    assert page.json == page_of(evaluations[-1], root=tmp_path).json
    assert dict(page.facts)["result"] == "1"
    assert [len(line.points) for chart in page.charts for line in chart.views[0].lines] == [1]
    text = render_page(page)
    assert Elements(text).open == []
    (section,) = re.findall(r'<section id="part-learning".*?</section>', text, re.S)
    assert re.findall(r'aria-label="(DM.*?%) ', section) == [
        f"DM, IPC 10: {mean} ± 0.0 %" for mean in (30.0, 40.0, 50.0)
    ]
    assert 'href="#part-learning"' in text
    assert "part-learning" not in render_page(page_of(evaluations[-1], root=tmp_path))


def test_learning_curves_of_a_page_are_over_the_seeds_of_all_their_points(tmp_path: Path) -> None:
    final = [learned(None, mean, seed=seed) for seed, mean in enumerate((50.0, 10.0, 12.0))]
    page = page_of(learned(25, 30.0, seed=0), *final, root=tmp_path)
    (chart,) = page.learning
    assert [point.text.partition(" (")[0] for point in chart.views[0].lines[0].points] == [
        "DM, IPC 10: 30.0 ± 0.0 %", "DM, IPC 10: 50.0 ± 0.0 %",
    ]  # fmt: skip
    assert chart.note == "Each curve: 1 seed × 2 nets"
    assert "<small>Each curve: 1 seed × 2 nets</small>" in render_page(page)
    assert [(row.seeds, row.mean) for row in page.rows] == [(3, 24.0)]


def test_a_page_of_unfinished_distillations_only_is_refused(tmp_path: Path) -> None:
    root = write_store(tmp_path / "store", [learned(25, 30.0), learned(50, 40.0)])
    result = run("--store", root, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "no distillation is finished" in result.output
    assert not (tmp_path / "out").exists()


def test_the_report_command_shows_learning_curves(tmp_path: Path) -> None:
    root = write_store(tmp_path / "store", [learned(25, 30.0), learned(None, 50.0)])
    assert run("--store", root, "-o", tmp_path).exit_code == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "DM, IPC 10: 30.0 ± 0.0 % (steps of the distillation 25 %, n = 2)" in text
    assert len(json.loads(embedded(text)["json"])["results"]) == 1


def test_what_was_chosen_on_the_test_set_is_marked_in_table_and_charts(tmp_path: Path) -> None:
    last = evaluation(cell_id="last")
    best = replace(last, cell_id="best", protocol="dim-oracle-v1", selection="test-oracle")
    page = page_of(best, last, root=tmp_path)
    texts = {column.name: [column.text(row) for row in page.rows] for column in page.columns}
    assert texts["mean"] == ["26.5 ± 0.7†", "26.5 ± 0.7"]
    assert texts["selection"] == ["test-oracle", "last"]
    assert [" ".join(chart.title.split()) for chart in page.charts] == [
        "CIFAR-10, ConvNet-3, dim-oracle-v1, † best on test", "CIFAR-10, ConvNet-3, quick-v1",
    ]  # fmt: skip
    said = [chart.views[0].lines[0].points[0].text for chart in page.charts]
    assert [text.partition(" (")[0] for text in said] == [
        "Random: 26.5 ± 0.7† %", "Random: 26.5 ± 0.7 %",
    ]  # fmt: skip
    note = "† The epoch was chosen on the test set"
    sections = [render_page(each).partition('id="part-all"')[2].partition("</section>")[0]
                for each in (page, page_of(last, root=tmp_path))]  # fmt: skip
    assert [note in section for section in sections] == [True, False]


def test_one_result_has_a_chart() -> None:
    (chart,) = charts_of(collect([evaluation(accuracies=(50.0,))]))
    (line,) = chart.views[0].lines
    assert line.points[0].low == line.points[0].high
    assert line.points[0].text == "Random: 50.0 % (images per class 10, n = 1)"


def test_a_whole_set_alone_has_no_chart() -> None:
    assert charts_of(collect([evaluation(ipc=None, method="whole")])) == ()


@pytest.mark.parametrize("marker", [*"osDd^v<>phH8*PX_", "unknown"])
def test_every_marker_is_a_closed_path(marker: str) -> None:
    assert re.fullmatch(r"M[-\d. a-zA-Z]+[zZ]", marker_path(marker))


def test_paths_of_machines_are_left_out(tmp_path: Path) -> None:
    reason = f"'{tmp_path}/weights/expert.pt' cannot be read"
    root = write_store(tmp_path / "store", [evaluation(ipc=1)], [failure(reason=reason)])
    artefact = Store(root).artefact("d0")
    artefact.parent.mkdir(parents=True)
    artefact.write_bytes(b"no image")
    assert run("--store", root, "-o", tmp_path / "out").exit_code == 0
    text = (tmp_path / "out" / "report.html").read_text()
    assert str(tmp_path) not in text
    assert "&#39;expert.pt&#39; cannot be read" in text
    assert "artefact.safetensors&#39;" in text  # it cannot be shown


def test_an_artefact_that_cannot_be_shown_costs_its_gallery_only(tmp_path: Path) -> None:
    root = write_store(tmp_path, [evaluation(ipc=1), evaluation(ipc=1, method="dm",
                       distil_id="d1", cell_id="e1")])  # fmt: skip
    for cell, images in (("d0", b"damaged"), ("d1", None)):
        path = Store(root).artefact(cell)
        path.parent.mkdir(parents=True)
        save_stripes(path) if images is None else path.write_bytes(images)
    page = make_page(load_rows(root), Store(root))
    assert [gallery.title for gallery in page.galleries] == ["DM, cifar10, IPC 1"]
    assert page.galleries[0].source.startswith("data:image/png;base64,")
    assert len(page.left_out) == 1


def test_a_line_has_the_same_place_in_every_view() -> None:
    shown = [
        evaluation(ipc=ipc, method=method, distil_seconds=seconds, cell_id=f"{method}{ipc}")
        for ipc in (1, 10)
        for method, seconds in (("random", 0.0), ("dm", 40.0))
    ]
    (chart,) = charts_of(collect(shown))
    for view in chart.views:
        assert [line.label for line in view.lines] == ["Random", "DM"]
    time = next(view for view in chart.views if view.axis.name == "time")
    assert [len(line.points) for line in time.lines] == [0, 2]


def test_a_spread_ends_at_the_edge_of_the_chart() -> None:
    (chart,) = charts_of(collect([evaluation(accuracies=(100.0, 90.0)), evaluation(
        ipc=1, accuracies=(0.0, 8.0), cell_id="e1")]))  # fmt: skip
    for point in chart.views[0].lines[0].points:
        assert TOP <= point.high <= point.low <= HEIGHT - BOTTOM


def test_axes_are_those_that_any_chart_has(tmp_path: Path) -> None:
    one = evaluation(distil_seconds=0.0)
    other = evaluation(eval_arch="mlp", cell_id="e1", distil_seconds=3.0)
    text = render_page(page_of(one, other, root=tmp_path))
    values = [a["value"] for t, a in Elements(text).seen if t == "input" and a["type"] == "radio"]
    assert values == ["ipc", "steps", "images", "bytes", "time"]
    assert text.count("None of these results has a value for time to distil.") == 1
