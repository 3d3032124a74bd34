"""Plots: files that exist, come out the same twice, and show what was measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gallery_rows import gallery_cell
from matplotlib.figure import Figure
from PIL import Image
from report_rows import evaluation, example_evaluations

from bench.ledger.cell import percent_mark
from bench.ledger.rows import Evaluation
from bench.report.aggregate import collect
from bench.report.plots import PLOTS
from bench.report.plots.accuracy import accuracy_figure, tick_labels
from bench.report.plots.cost import cost_figure
from bench.report.plots.options import PlotOptions, parse_size
from bench.report.plots.series import find_series
from bench.report.plots.style import plot_style
from bench.report.row import Row
from bench.support.errors import BenchError

METHODS = ("random", "herding", "k-center", "dm", "gan", "dim", "a-method-of-someone-elses")


@pytest.fixture(scope="module")
def small() -> list[Evaluation]:
    methods = ("random", "dim", "whole")
    return [
        row for row in example_evaluations() if row.method in methods and row.dataset == "cifar10"
    ]


@pytest.mark.parametrize("kind", ["accuracy", "cost"])
def test_files_are_there_and_the_same_twice(
    kind: str, small: list[Evaluation], tmp_path: Path
) -> None:
    first = PLOTS[kind](small, tmp_path / "a")
    second = PLOTS[kind](small, tmp_path / "b")
    assert [path.name for path in first] == [f"{kind}.png", f"{kind}.svg", f"{kind}.pdf"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    with Image.open(first[0]) as image:
        assert min(image.size) > 300
        assert len(set(np.asarray(image.convert("RGB")).reshape(-1, 3)[:, 0])) > 10
    assert "<dc:date>" not in first[1].read_text()
    assert not re.search(rb"/(CreationDate|Creator|Producer)", first[2].read_bytes())


@pytest.mark.parametrize("draw", [accuracy_figure, cost_figure])
@pytest.mark.parametrize("changed", ["", "lite: iterations=1234, a_long_parameter=0.00001"])
@pytest.mark.parametrize("datasets", [1, 4])
def test_the_legend_lies_in_the_figure_and_on_no_panel(
    datasets: int, changed: str, draw: Callable[[Sequence[Row]], Figure]
) -> None:
    cells = [
        evaluation(method=name, dataset=f"set{k}", changed=changed and f"{changed}{i}", ipc=ipc,
             cell_id=f"{name}{k}{i}{ipc}", distil_id=f"{name}{k}{i}{ipc}")
        for name in METHODS for k in range(datasets) for i in range(2) for ipc in (1, 10)
    ]  # fmt: skip
    with plot_style():
        figure = draw(collect(cells))
        figure.draw_without_rendering()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert len(legend.get_texts()) >= len(METHODS) * (2 if changed else 1)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y0 >= 0
        for axes in figure.axes:
            if axes.get_visible():
                assert axes.get_tightbbox().y0 >= box.y1
                assert axes.get_window_extent().height >= 1.5 * figure.dpi


@pytest.mark.usefixtures("empty_pdfs")
@pytest.mark.parametrize("kind", PLOTS)
def test_options_change_every_plot(kind: str, tmp_path: Path) -> None:
    cells = [
        replace(gallery_cell(tmp_path, m, ipc), eval_arch=arch, cell_id=f"{m}{ipc}{arch}")
        for m in ("random", "dm") for ipc in (1, 10) for arch in ("mlp", "vit")
    ]  # fmt: skip
    if kind == "learning":
        marked = {"changed": percent_mark(50), "percent": 50}
        cells.append(replace(cells[-1], **marked, cell_id="half", distil_id="half"))
    options = PlotOptions("Title of my own", notes=False, width=3.3, font_size=7)
    note = "first seed" if kind == "gallery" else "quick-v1"
    default, *others = PLOTS[kind](cells, tmp_path / "default", PlotOptions())
    assert note in others[0].read_text()
    png, svg, *_ = PLOTS[kind](cells, tmp_path / "own", options)
    with Image.open(png) as image, Image.open(default) as other:
        assert image.width == 660
        assert image.size != other.size
    assert "Title of my own" in svg.read_text()
    assert note not in svg.read_text()


def test_a_plot_has_the_size_that_was_asked_for_if_it_fits() -> None:
    rows = collect([evaluation(dataset=f"set{i}", cell_id=f"{i}") for i in range(4)])
    with plot_style():
        figure = accuracy_figure(rows, PlotOptions(width=7, height=5))
        assert tuple(figure.get_size_inches()) == (7, 5)
        with pytest.raises(BenchError, match=r"7 x 1\.6 inches leaves no room for its 4 panels"):
            accuracy_figure(rows, PlotOptions(width=7, height=1.6))
        with pytest.raises(BenchError, match=r"1\.5 inches wide leaves no room beside its texts"):
            accuracy_figure(rows, PlotOptions(width=1.5, font_size=30))


def test_sizes_are_widths_and_heights_in_inches() -> None:
    assert parse_size("7x4.5") == (7, 4.5)
    assert parse_size("3.3") == (3.3, None)
    for text in ("", "x", "7x", "big", "7x4x2"):
        with pytest.raises(BenchError, match=f"size '{text}' is not of the form"):
            parse_size(text)
    for values in ({"width": 0.5}, {"height": 100.0}, {"font_size": 1.0}, {"width": float("nan")}):
        with pytest.raises(BenchError, match="is not from"):
            PlotOptions(**values)


def test_the_legend_is_read_line_by_line() -> None:
    names = ("random", "herding", "k-center", "k-means", "forgetting", "dm", "dc", "dsa")
    rows = collect([evaluation(method=m, cell_id=m) for m in names])
    with plot_style():
        figure = accuracy_figure(rows)
        figure.draw_without_rendering()
    boxes = {t.get_text(): t.get_window_extent() for t in figure.legends[0].get_texts()}
    read = sorted(boxes, key=lambda label: (-round(boxes[label].y0), boxes[label].x0))
    assert len({round(box.y0) for box in boxes.values()}) > 1
    assert read == [row.style.label for row in rows]


def test_accuracy_panel_draws_the_means_and_spreads(small: list[Evaluation]) -> None:
    rows = collect(small)
    with plot_style():
        (axes,) = accuracy_figure(rows).axes
    drawn = {c.get_label(): c for c in axes.containers}
    assert list(drawn) == ["Random", "DiM (stream)", "DiM (frozen)"]
    line, _, (bars,) = drawn["DiM (stream)"]
    stream = [r for r in rows if r.mode == "stream"]
    assert list(line.get_ydata()) == [r.mean for r in stream]
    heights = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
    assert heights == pytest.approx([2 * r.std for r in stream if r.std is not None])
    assert axes.get_xscale() == "log"
    assert axes.get_title(loc="left") == "CIFAR-10, evaluated with ConvNet-3"
    texts = " ".join(text.get_text() for text in axes.texts)
    assert "profile lite" in texts
    assert "quick-v1" in texts


def test_a_datasets_note_stands_under_its_title() -> None:
    rows = collect([evaluation(dataset_note="went through JPEG, which softens it " * 3)])
    with plot_style():
        figure = accuracy_figure(rows)
        figure.draw_without_rendering()
        (note,) = figure.axes[0].texts
        assert note.get_window_extent().x1 <= figure.bbox.width
    assert note.get_text().count("\n") >= 2
    assert "JPEG" in note.get_text()


def test_cost_panels_share_their_accuracies_and_show_one_artefact_once(
    small: list[Evaluation],
) -> None:
    rows = collect(small)
    with plot_style():
        left, right = cost_figure(rows).axes
    assert "on cpu" in left.get_xlabel()
    colour = next(row.style.colour for row in rows if row.method == "dim")
    times = {c[0].get_xdata()[0] for c in left.containers if c[0].get_color() == colour}
    assert times == {next(r.distil_seconds for r in rows if r.method == "dim")}
    heights = [sorted(float(c[0].get_ydata()[0]) for c in a.containers) for a in (left, right)]
    assert heights[0] == heights[1] == sorted(r.mean for r in rows if r.ipc is not None)


@pytest.mark.usefixtures("empty_pdfs")
def test_only_whole_can_be_drawn(tmp_path: Path) -> None:
    evaluations = [evaluation(method="whole", ipc=None, distil_seconds=0.0)]
    assert (
        len(PLOTS["accuracy"](evaluations, tmp_path))
        == len(PLOTS["cost"](evaluations, tmp_path))
        == 3
    )


def test_ticks_that_would_collide_lose_their_label() -> None:
    assert tick_labels([1, 10, 50]) == ["1", "10", "50"]
    assert tick_labels([1, 10, 11, 50]) == ["1", "10", "", "50"]
    assert tick_labels([1, 10, 45, 50]) == ["1", "10", "", "50"]
    assert tick_labels([10]) == ["10"]


def test_labels_tell_profiles_apart_only_if_there_are_several() -> None:
    lite, paper = (
        evaluation(method="dm", profile="lite"),
        evaluation(method="dm", profile="paper", cell_id="e"),
    )
    alone = collect([lite])
    both = collect([lite, paper])
    assert [s.label for s in find_series(alone, alone)] == ["DM"]
    found = find_series(both, both)
    assert [s.label for s in found] == ["DM (paper)", "DM (lite)"]
    assert len({s.dashes for s in found}) == 2


def test_labels_name_the_architecture_distilled_with_if_it_varies() -> None:
    rows = collect([evaluation(method="dm", arch=a, cell_id=a) for a in ("convnet3", "vgg11")])
    assert [s.label for s in find_series(rows, rows)] == [
        "DM (with convnet3)", "DM (with vgg11)",
    ]  # fmt: skip


def panels_of(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left").split(",")[0] for axes in figure.axes if axes.get_visible()]


def many_blocks(datasets: int = 7) -> list[Evaluation]:
    """Each dataset under two protocols: the second has more results."""
    return [
        evaluation(dataset=f"set{k}", protocol=p, method=m, cell_id=f"{k}{p}{m}")
        for k in range(datasets)
        for p, methods in (("plain-v1", ("random",)), ("quick-v1", ("random", "dm")))
        for m in methods[: 1 if k == 3 else 2]
    ]  # fmt: skip


@pytest.mark.parametrize(("draw", "each"), [(accuracy_figure, 1), (cost_figure, 2)])
def test_many_panels_are_one_per_dataset_and_say_how_to_choose(
    draw: Callable[[Sequence[Row], PlotOptions], Figure], each: int
) -> None:
    said: list[str] = []
    rows = collect(many_blocks())
    with plot_style():
        figure = draw(rows, PlotOptions(say=said.append))
        few = draw(rows, PlotOptions(say=said.append, max_panels=14 * each))
        drawn = [axes.texts[0].get_text() for axes in figure.axes if axes.texts]
    (line,) = said
    assert len([title for title in panels_of(figure) if title]) == 6 // each
    # The one with the fewest results is left out first.
    assert "set3" not in panels_of(figure)
    assert all("quick-v1" in text for text in drawn)
    assert len([title for title in panels_of(few) if title]) == 14
    assert "set0 (convnet3, plain-v1)" in line
    assert "--protocol" in line
    assert f"--max-panels {14 * each}" in line


def oracle_and_last(oracles: int) -> list[Evaluation]:
    """Return a dataset's results of the last step, and more of the best step on the test set."""
    oracle = {"protocol": "dim-oracle-v1", "selection": "test-oracle"}
    return [
        evaluation(method="dm", cell_id="last"),
        *(evaluation(method="dm", ipc=ipc, cell_id=f"o{ipc}", **oracle)
          for ipc in range(1, oracles + 1)),
    ]  # fmt: skip


@pytest.mark.parametrize("oracles", [1, 3])
def test_the_best_step_on_the_test_set_is_no_panel_by_default(oracles: int) -> None:
    said: list[str] = []
    rows = collect(oracle_and_last(oracles))
    one = PlotOptions(max_panels=1, say=said.append)
    with plot_style():
        (chosen,) = accuracy_figure(rows, one).axes
        (alone,) = accuracy_figure([row for row in rows if row.selection != "last"], one).axes
    assert "quick-v1" in chosen.texts[0].get_text()
    assert "cifar10 (convnet3, dim-oracle-v1)" in said[0]
    assert "dim-oracle-v1" in alone.texts[0].get_text()


def titles_of(figure: Figure) -> list[str]:
    return [" ".join(axes.get_title(loc="left").split()) for axes in figure.axes]


@pytest.mark.parametrize("notes", [True, False])
def test_panels_that_would_be_called_alike_name_their_protocol(notes: bool) -> None:
    plain = "CIFAR-10, evaluated with ConvNet-3"
    mark = "" if notes else ", † best on test"
    cells = [*oracle_and_last(2), evaluation(dataset="svhn", cell_id="svhn")]
    with plot_style():
        figures = [
            draw(collect(cells), PlotOptions(notes=notes))
            for draw in (accuracy_figure, cost_figure)
        ]
        alone = accuracy_figure(collect(cells[1:3]), PlotOptions(notes=notes))
    for figure in figures:
        assert list(filter(None, titles_of(figure))) == [
            f"{plain}, dim-oracle-v1{mark}", f"{plain}, quick-v1",
            "SVHN, evaluated with ConvNet-3",
        ]  # fmt: skip
    assert titles_of(alone) == [f"{plain}{mark}"]


def test_panels_of_one_protocol_name_precision_and_data() -> None:
    one = evaluation(cell_id="a")
    cells = [one, replace(one, precision="bf16", cell_id="b", dataset_sha256="d" * 64)]
    plain = "CIFAR-10, evaluated with ConvNet-3"
    with plot_style():
        assert titles_of(accuracy_figure(collect(cells))) == [
            f"{plain}, fp32, data cccccccc", f"{plain}, bf16, data dddddddd",
        ]  # fmt: skip


def test_error_bars_are_what_was_chosen() -> None:
    seeds = [evaluation(seed=s, accuracies=[20 + s, 24 + s], cell_id=f"{s}") for s in range(3)]
    heights = {}
    for spread in ("sd", "se"):
        (row,) = collect(seeds, spread)
        with plot_style():
            (axes,) = accuracy_figure([row]).axes
        _, _, (bars,) = axes.containers[0]
        (segment,) = bars.get_segments()
        heights[spread] = segment[1, 1] - segment[0, 1]
        assert heights[spread] == pytest.approx(2 * row.plus_minus)
    assert heights["se"] < heights["sd"]
    assert "standard\u00a0error" in axes.texts[0].get_text()


def test_the_legend_is_in_the_order_of_tables_whatever_the_panels_hold() -> None:
    cells = [
        evaluation(method="dm", dataset="a", cell_id="1"),
        evaluation(method="whole", ipc=None, dataset="a", cell_id="2"),
        evaluation(method="herding", dataset="b", cell_id="3"),
    ]
    with plot_style():
        for draw in (accuracy_figure, cost_figure):
            labels = [text.get_text() for text in draw(collect(cells)).legends[0].get_texts()]
            assert labels[:3] == ["Herding", "DM", "Whole dataset"]
