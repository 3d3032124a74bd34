"""Plots over budgets: Pareto fronts, equal budgets, learning curves; and of ranks."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from report_rows import evaluation, example_evaluations

from bench.ledger.cell import percent_mark
from bench.ledger.rows import Evaluation
from bench.report.aggregate import collect
from bench.report.comparison.contenders import find_contenders
from bench.report.comparison.grid import grid_lines
from bench.report.plots import PLOTS
from bench.report.plots.budget import budget_figure
from bench.report.plots.cost import cost_figure
from bench.report.plots.learning import learning_figure, learning_rows
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.pareto import pareto_figure, pareto_front
from bench.report.plots.rank import rank_figure
from bench.report.plots.same_seeds import share_seeds
from bench.report.plots.style import plot_style
from bench.support.errors import BenchError


def points_of(axes: Axes) -> dict[tuple[float, float], float]:
    """Return how opaque each drawn result is, by where it is."""
    return {
        (float(bar[0].get_xdata()[0]), float(bar[0].get_ydata()[0])): bar[0].get_alpha()
        for bar in axes.containers
    }


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(1, 1)], [0]),
        ([(1, 1), (2, 2), (3, 3)], [0, 1, 2]),
        ([(3, 1), (2, 2), (1, 3)], [2]),
        ([(1, 1), (1, 2), (2, 2), (0.5, 0.5)], [3, 1]),
        ([(1, 1), (1, 1)], [0]),
    ],
)
def test_a_front_is_what_no_other_point_beats(
    points: list[tuple[float, float]], front: list[int]
) -> None:
    assert pareto_front(points) == front


def test_results_on_the_front_are_opaque_and_joined() -> None:
    cells = [
        evaluation(method=m, stored_bytes=b, distil_seconds=s, accuracies=[a], cell_id=m, ipc=1)
        for m, b, s, a in (("random", 10, 1, 20), ("dm", 10, 50, 30), ("dim", 500, 90, 25))
    ]
    whole = evaluation(method="whole", ipc=None, accuracies=[90.0], cell_id="w", stored_bytes=5)
    with plot_style():
        size, time = pareto_figure(collect([*cells, whole])).axes
    assert points_of(size) == {(10, 20): 0.35, (10, 30): 1, (500, 25): 0.35}
    assert points_of(time) == {(1, 20): 1, (50, 30): 1, (90, 25): 0.35}
    (front,) = [line for line in time.lines if line.get_drawstyle() == "steps-post"]
    assert list(front.get_xdata()) == [1, 50]
    assert any(set(line.get_ydata()) == {90.0} for line in time.lines)


def test_each_budget_is_a_panel_with_the_same_accuracies() -> None:
    rows = collect([r for r in example_evaluations() if (r.dataset, r.method) == ("svhn", "dim")])
    with plot_style():
        panels = budget_figure(rows).axes
    values = [
        {(float(row.ipc or 0), row.mean) for row in rows},
        {(float(row.training_steps), row.mean) for row in rows},
        {(float(row.distinct_images), row.mean) for row in rows},
        {(float(row.stored_bytes), row.mean) for row in rows},
    ]
    assert [set(points_of(axes)) for axes in panels] == values
    assert len({axes.get_ylim() for axes in panels}) == 1
    assert [axes.get_xlabel() for axes in panels] == [
        "Images per class", "Training steps of a network", "Distinct images shown to a network",
        "Stored size",
    ]  # fmt: skip
    assert [t.get_text() for t in panels[0].get_xticklabels()] == ["1", "10", "50"]


def test_panels_that_belong_together_stay_together() -> None:
    rows = collect([evaluation()])
    for width, columns in ((3.3, 1), (7.2, 2), (11, 2), (14, 4)):
        with plot_style():
            panels = budget_figure(rows, PlotOptions(width=width)).axes
        assert len({round(axes.get_position().x0, 2) for axes in panels}) == columns


def dm(steps: int, **changes: Any) -> Evaluation:
    name = f"{steps} {sorted(changes.items())}"
    own = {"profile": "custom", "changed": f"paper: iterations={steps}"}
    return evaluation(
        method="dm", distil_steps=steps, accuracies=[10.0 + steps], cell_id=name, distil_id=name,
        **{**own, **changes},
    )  # fmt: skip


def curves_of(figure: Figure) -> list[list[float]]:
    return [
        list(line.get_xdata())
        for line in figure.axes[0].lines
        if line.get_alpha() == 0.6 and len(line.get_xdata()) > 1
    ]


def early(percent: int, changed: str = "", **changes: Any) -> Evaluation:
    marked = ", ".join(filter(None, (changed, percent_mark(percent))))
    return dm(percent, percent=percent, profile="paper", changed=marked, **changes)


def test_a_learning_curve_joins_the_sets_of_one_distillation() -> None:
    other = "paper: iterations=9, lr_img=0.5"
    cells = [
        early(75), early(25), dm(100, profile="paper", changed=""),
        early(50, ipc=50), dm(100, profile="paper", changed="", ipc=50),
        early(10, changed=other), early(20, changed=other),
        dm(100, profile="lite", changed=""),  # another distillation, of which there is no more
    ]  # fmt: skip
    with plot_style():
        figure = learning_figure(collect(cells))
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(curves_of(figure)) == [[10, 20], [25, 75, 100], [50, 100]]
    assert {label for label in labels if "DM" in label} == {"DM", f"DM ({other})"}
    with plot_style(), pytest.raises(BenchError, match="--evaluate-at 25,50,75"):
        learning_figure(collect([dm(5), dm(9, profile="lite", changed=""), early(25)]))


def test_beside_the_curve_of_a_generator_stand_fresh_real_images() -> None:
    def streamed(method: str, percent: int | None, ipc: int = 10, **changes: Any) -> Evaluation:
        name = f"{method} {percent} {ipc} {sorted(changes.items())}"
        changed = "" if percent is None else percent_mark(percent)
        own = {"distil_steps": 100, "profile": "day", "mode": "stream", "changed": changed}
        return evaluation(method=method, percent=percent, ipc=ipc, cell_id=name, distil_id=name,
                          **{**own, **changes})  # fmt: skip

    real = {"method": "real-stream", "percent": None, "distil_steps": 1, "profile": "any"}
    curve = [streamed("gan", percent) for percent in (20, 50, None)]
    others = [
        streamed(**real, ipc=50),  # of an IPC without a curve
        streamed(**real, protocol="dim-v1"),
        streamed(**real, mode="stored"),
        streamed("dim", None),  # a generator without earlier sets
    ]
    reference = streamed(**real, accuracies=[70.0, 80.0])
    rows = learning_rows(collect([*curve, reference, *others]))
    assert [(row.method, row.percent) for row in rows[3:]] == [
        ("real-stream", 20), ("real-stream", None),
    ]  # fmt: skip
    assert {row.mean for row in rows[3:]} == {75.0}
    with plot_style():
        figure = learning_figure(collect([*curve, reference]))
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(curves_of(figure)) == [[20, 50, 100], [20, 100]]
    assert set(labels[:2]) == {"GAN (stream)", "Real stream (stream)"}
    # Alone it is no curve.
    assert learning_rows(collect([reference])) == []


def test_seeds_are_pooled_at_each_point_of_a_curve() -> None:
    cells = [early(25, seed=0), early(25, seed=1), early(50, seed=0), early(50, seed=1)]
    rows = collect(cells)
    assert [(row.percent, row.seeds) for row in rows] == [(25, 2), (50, 2)]


def of_three_seeds() -> list[Evaluation]:
    """Return final sets of three seeds, of which the first, the best, has earlier ones too."""
    final = [
        replace(dm(100, profile="paper", changed="", seed=seed), accuracies=(value, value, 1.0),
                nets=3)
        for seed, value in enumerate((60.0, 30.0, 30.0))
    ]  # fmt: skip
    return [
        replace(early(25), accuracies=(40.0, 40.0), nets=2),
        replace(early(50), accuracies=(50.0,), nets=2, diverged=(0,)),
        *final,
    ]


def test_a_curve_has_the_same_seeds_and_networks_at_all_points() -> None:
    cells = of_three_seeds()
    shared, (loss,) = share_seeds(cells)
    rows = learning_rows(collect(shared))
    found = {row.percent: (row.mean, row.seeds, row.n, row.diverged) for row in rows}
    assert found == {25: (40, 1, 1, 0), 50: (50, 1, 1, 1), None: (60, 1, 1, 0)}
    assert loss == "dm on cifar10, IPC 10: seed 0 (of 0, 1, 2), 3 of 12 accuracies"
    other = [early(25, ipc=1, seed=0), early(50, ipc=1, seed=0), dm(100, profile="lite", seed=4)]
    assert share_seeds(other) == (other, [])


def test_a_curve_without_a_common_seed_keeps_the_longest() -> None:
    cells = [early(p, seed=s) for p, s in ((10, 1), (20, 1), (25, 0), (50, 0), (75, 0), (75, 1))]
    shared, _ = share_seeds(cells)
    assert [(one.percent, one.seed) for one in shared] == [(25, 0), (50, 0), (75, 0)]


@pytest.mark.usefixtures("empty_pdfs")
def test_the_learning_plot_says_over_which_seeds_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    whole = evaluation(method="whole", ipc=None, cell_id="whole")
    cells = [*of_three_seeds(), whole]
    _, svg, _ = PLOTS["learning"](cells, tmp_path, PlotOptions(say=said.append, width=8.0))
    assert "that all its points have (1 seed × 1 net)" in " ".join(
        re.findall("<!-- (.*?) -->", svg.read_text())
    )
    assert "seed 0 (of 0, 1, 2)" in said[0]


def ranked(evaluations: list[Evaluation], options: PlotOptions = DEFAULT) -> Figure:
    contenders = find_contenders(evaluations)
    with plot_style():
        return rank_figure(contenders, grid_lines(contenders), options)


def test_ranks_are_sorted_with_their_intervals() -> None:
    evaluations = [row for row in example_evaluations() if row.method != "dm"]
    (axes,) = ranked(evaluations).axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["DiM (stream)", "DiM (frozen)", "GAN (stream)", "GAN (frozen)", "Herding",
                      "Random"]  # fmt: skip
    lines = {line.label: line.rank for line in grid_lines(find_contenders(evaluations))}
    for label, bar in zip(labels, axes.containers, strict=True):
        rank = lines[label]
        assert rank is not None
        point, _, (interval,) = bar.lines
        assert point.get_xdata()[0] == rank.mean
        assert list(interval.get_segments()[0][:, 0]) == pytest.approx([rank.low, rank.high])
        assert (point.get_markerfacecolor() == "white") == ("frozen" in label)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the best is at the top


def test_ranks_over_several_cells_come_before_those_of_one() -> None:
    said: list[str] = []
    several = [row for row in example_evaluations() if row.method in ("random", "herding")]
    one = [evaluation(method=m, eval_arch="mlp", cell_id=f"m{m}") for m in ("random", "herding")]
    (axes,) = ranked([*several, *one], PlotOptions(say=said.append)).axes
    assert axes.get_title(loc="left") == "Evaluated with ConvNet-3"
    assert "1 panel of the fewest cells" in said[0]
    (alone,) = ranked(one).axes
    assert "no interval" in " ".join(alone.texts[0].get_text().split())
    with pytest.raises(BenchError, match="no two methods were measured alike"):
        ranked(one[:1])


def test_ranks_on_the_test_set_stand_back_behind_all_others() -> None:
    said: list[str] = []
    oracle = {"protocol": "dim-oracle-v1", "selection": "test-oracle"}
    last = [evaluation(method=m, cell_id=m) for m in ("random", "herding")]
    best = [
        evaluation(method=m, ipc=ipc, cell_id=f"{m}{ipc}", **oracle)
        for m in ("random", "herding", "dm") for ipc in (1, 10)
    ]  # fmt: skip
    (axes,) = ranked([*best, *last], PlotOptions(max_panels=1, say=said.append)).axes
    assert "quick-v1" in axes.texts[0].get_text()
    assert "1 panel of the fewest cells, or of the best step on the test set" in said[0]
    (alone,) = ranked(best, PlotOptions(max_panels=1)).axes
    assert "dim-oracle-v1" in alone.texts[0].get_text()
    figure = ranked([*best, *last], PlotOptions(notes=False))
    assert [" ".join(axes.get_title(loc="left").split()) for axes in figure.axes] == [
        "Evaluated with ConvNet-3, quick-v1",
        "Evaluated with ConvNet-3, dim-oracle-v1, † best on test",
    ]


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        ([635.456, 843.538, 1290.29, 1874.49], ["635", "1,870"]),
        ([400.0, 401.0], ["400"]),
        ([0.02, 300.0, 9000.0], ["0.1", "1", "10", "100", "1,000", "10,000"]),
        ([7.0, 70.0], ["5", "10", "20", "50", "100"]),
    ],
)
def test_times_have_a_few_plain_labels(seconds: list[float], labels: list[str]) -> None:
    cells = [
        evaluation(method="dm", ipc=i, distil_seconds=s, cell_id=f"{i}", distil_id=f"{i}")
        for i, s in enumerate(seconds, start=1)
    ]
    with plot_style():
        figure = cost_figure(collect(cells))
        figure.draw_without_rendering()
        axes = figure.axes[0]
        low, high = axes.get_xlim()
        shown = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
        boxes = [text.get_window_extent() for text in shown]
    assert [text.get_text() for text in shown] == labels
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
