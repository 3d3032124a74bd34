"""What plots show beside our results: published numbers, and lines of the whole dataset."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from report_rows import evaluation

from bench.ledger.cell import percent_mark
from bench.report.aggregate import collect
from bench.report.plots.accuracy import accuracy_figure
from bench.report.plots.budget import budget_figure
from bench.report.plots.cost import cost_figure
from bench.report.plots.learning import learning_figure
from bench.report.plots.options import PlotOptions
from bench.report.plots.pareto import pareto_figure
from bench.report.plots.style import MakeFigure, plot_style
from bench.report.published.read import Published, load_published
from bench.report.row import Row


@pytest.fixture
def numbers(tmp_path: Path) -> tuple[Published, ...]:
    (tmp_path / "numbers.csv").write_text(
        "method,dataset,ipc,train_arch,eval_arch,accuracy,std,protocol_note,reported_in,source,"
        "protocol\n"
        "DM,CIFAR10,1,ConvNet,ConvNet,26.0,0.8,,T1,A,plain\n"
        "DM,CIFAR10,1,ConvNet,ConvNet,25.0,0.8,,T1,B,quick\n"
        "DM,CIFAR10,10,ConvNet,ConvNet,48.9,0.6,,T1,A,\n"
        "DM,CIFAR10,50,ConvNet,ConvNet,63.0,0.4,,T1,A,\n"
        "Whole Dataset,CIFAR10,full,-,ConvNet,84.8,,,T1,A,\n"
        "MTT,CIFAR10,1,ConvNet,ConvNet,46.3,0.8,,T1,A,\n"
    )
    return tuple(load_published(tmp_path / "numbers.csv"))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_published_numbers_stand_beside_ours_in_the_methods_colour(
    numbers: tuple[Published, ...],
) -> None:
    rows = collect([
        *(evaluation(method="dm", ipc=ipc, cell_id=f"{ipc}") for ipc in (1, 10)),
        evaluation(method="whole", ipc=None, cell_id="w"),
    ])  # fmt: skip
    with plot_style():
        figure = accuracy_figure(rows, PlotOptions(published=numbers))
        bars = [line for line in figure.axes[0].lines if line.get_markersize() == 9]
        across = [line.get_ydata()[0] for line in figure.axes[0].lines if len(line.get_ydata()) == 2
                  and line.get_marker() == "None"]  # fmt: skip
        bare = accuracy_figure(rows)
    (bar,) = bars
    assert list(bar.get_xdata()) == [1, 10]  # the IPCs of the panel
    assert list(bar.get_ydata()) == [25.0, 48.9]  # of two sources, that with our protocol
    assert bar.get_color() == rows[0].style.colour
    assert 84.8 in across
    assert "published" in figure.legends[0].get_texts()[-1].get_text()
    assert "published" not in bare.legends[0].get_texts()[-1].get_text()


def rows_of_dm() -> list[Row]:
    """Return DM at IPC 1 and 10 under two profiles, and halfway."""
    own = {"method": "dm", "distil_seconds": 5.0, "training_steps": 40}
    return collect([
        *(evaluation(**own, ipc=ipc, stored_bytes=100 * ipc, cell_id=f"{ipc}{profile}",
                     distil_id=f"{ipc}{profile}", profile=profile)
          for ipc in (1, 10) for profile in ("paper", "lite")),
        evaluation(**own, ipc=1, profile="paper", changed=percent_mark(50), percent=50,
                   distil_id="half", cell_id="half"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("draw", "places"),
    [
        (cost_figure, [[5, 5], [100, 1000]]),
        (pareto_figure, [[100, 1000], [5, 5]]),
        (budget_figure, [[1, 10], [40, 40], [100, 100], [100, 1000]]),
        (learning_figure, [[100]]),
    ],
)
def test_against_other_quantities_they_stand_where_ours_is(
    numbers: tuple[Published, ...], draw: MakeFigure, places: list[list[float]]
) -> None:
    rows = rows_of_dm()
    if draw is not learning_figure:
        rows = [row for row in rows if row.percent is None]
    with plot_style():
        figure = draw(rows, PlotOptions(published=numbers))
        bare = draw(rows, PlotOptions())
    shown = [
        [float(line.get_xdata()[0]) for line in axes.lines if line.get_markersize() == 9]
        for axes in figure.axes
    ]
    assert [sorted(each) for each in shown] == places
    assert {text for text in legend(figure) if "published" in text} == {
        "Whole dataset, published", "published, in the method's colour, where ours is",
    }  # fmt: skip
    for axes in figure.axes:  # the whole dataset, which we have no result of
        assert 84.8 in [y for line in axes.lines for y in line.get_ydata()]
    assert not [text for text in legend(bare) if "published" in text]


def whole_sets() -> list[Row]:
    """Return the whole dataset under two profiles and with a changed parameter, and DM."""
    settings = (("paper", ""), ("lite", ""), ("lite", "lite: share=0.5"))
    return collect([
        *(evaluation(method="whole", ipc=None, profile=profile, changed=changed, dataset=dataset,
                     accuracies=(80.0 + i,), cell_id=f"{i}{dataset}", distil_id=f"{i}{dataset}")
          for i, (profile, changed) in enumerate(settings) for dataset in ("cifar10", "svhn")),
        evaluation(method="dm", cell_id="dm"),
    ])  # fmt: skip


@pytest.mark.parametrize("draw", [accuracy_figure, cost_figure])
def test_whole_datasets_of_different_settings_are_told_apart(draw: MakeFigure) -> None:
    rows = [row for row in whole_sets() if (row.dataset, row.profile) != ("svhn", "paper")]
    svg = io.StringIO()
    with plot_style():
        figure = draw(rows, PlotOptions())
        figure.savefig(svg, format="svg")
    assert sorted(text for text in legend(figure) if "Whole" in text) == [
        "Whole dataset (lite)", "Whole dataset (lite, lite: share=0.5)", "Whole dataset (paper)",
    ]  # fmt: skip
    # In each panel and in the legend; one of them is of one dataset only.
    each = 1 if draw is accuracy_figure else 2
    looks = Counter(re.findall(r"stroke-dasharray: ([^;]+);", svg.getvalue()))
    assert sorted(looks.values()) == [each + 1, 2 * each + 1, 2 * each + 1]


def test_a_whole_dataset_alone_has_a_plain_name_and_dots() -> None:
    rows = [row for row in whole_sets() if row.profile != "paper" and not row.changed]
    with plot_style():
        figure = accuracy_figure(rows)
    assert legend(figure) == ["DM", "Whole dataset"]


def test_a_panel_of_the_whole_dataset_alone_has_no_ticks_of_images() -> None:
    rows = [row for row in whole_sets() if row.dataset == "svhn"]
    with plot_style():
        figure = accuracy_figure(rows)
        figure.draw_without_rendering()
    assert not [tick.get_text() for tick in figure.axes[0].get_xticklabels()]


def test_a_pareto_plot_tells_profiles_apart_by_lines() -> None:
    rows = [row for row in rows_of_dm() if row.percent is None]
    with plot_style():
        figure = pareto_figure(rows)
        named = zip(figure.legends[0].get_lines(), legend(figure), strict=True)
        looks = {label: line.get_linestyle() for line, label in named}
    assert (looks["DM (paper)"], looks["DM (lite)"]) == ("-", "--")
    for axes in figure.axes:
        joined = [line for line in axes.lines if len(line.get_xdata()) > 1]
        assert [line.get_linestyle() for line in joined if line.get_alpha()] == ["-", "--"]
