from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image
from report_rows import evaluation

from bench.ledger.rows import Evaluation
from bench.report.aggregate import collect
from bench.report.plots import PLOTS
from bench.report.plots.cross_arch import cross_arch_figure
from bench.report.plots.style import plot_style
from bench.support.errors import BenchError


def evaluated(method: str, ipc: int | None, eval_arch: str, mean: float, **rest: Any) -> Evaluation:
    name = f"{method}-{ipc}-{sorted(rest.items())}"
    return evaluation(
        method=method, ipc=ipc, eval_arch=eval_arch, accuracies=[mean - 1, mean + 1],
        distil_id=name, cell_id=f"{name}-{eval_arch}", **rest,
    )  # fmt: skip


@pytest.fixture
def grid() -> list[Evaluation]:
    dm = {"profile": "lite", "arch": "convnet3"}
    return [
        evaluated("random", 10, "mlp", 20),
        evaluated("random", 10, "vgg11", 21),
        evaluated("random", 10, "convnet3", 22),
        *(evaluated("dm", ipc, "convnet3", 30 + ipc, **dm) for ipc in (10, 1)),
        evaluated("dm", 10, "vgg11", 33, **dm),
        evaluated("whole", None, "convnet3", 84),
        evaluated("random", 10, "convnet3", 70, dataset="mnist"),
    ]  # fmt: skip


def axes_of(evaluations: list[Evaluation]) -> list[Axes]:
    with plot_style():
        return cross_arch_figure(collect(evaluations)).axes


def cells_of(axes: Axes) -> list[list[str]]:
    """Return what is written in the cells, line by line."""
    placed = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text()
              for t in axes.texts[:-1]}  # fmt: skip
    lines, across = (max(at[k] for at in placed) + 1 for k in (0, 1))
    return [[placed[y, x] for x in range(across)] for y in range(lines)]


def test_architectures_stand_across_and_methods_and_ipcs_down(grid: list[Evaluation]) -> None:
    (axes,) = axes_of(grid)
    assert axes.get_title(loc="left") == "CIFAR-10, evaluated with several networks"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["ConvNet-3", "MLP", "VGG-11"]
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "Random, IPC 10", "DM, IPC 10", "Whole dataset",
    ]  # fmt: skip
    assert cells_of(axes) == [
        ["22.0 ± 1.4", "20.0 ± 1.4", "21.0 ± 1.4"],
        ["40.0 ± 1.4", "–", "33.0 ± 1.4"],
        ["84.0 ± 1.4", "–", "–"],
    ]


def test_whole_sets_of_different_settings_are_lines_of_their_own(grid: list[Evaluation]) -> None:
    whole = [
        evaluated("whole", None, "convnet3", mean, profile=profile, changed=changed)
        for mean, profile, changed in (
            (84, "paper", ""), (70, "lite", ""), (60, "lite", "lite: epochs=9"),
        )
    ]  # fmt: skip
    (axes,) = axes_of([*(one for one in grid if one.method != "whole"), *whole])
    labels = [" ".join(text.get_text().split()) for text in axes.get_yticklabels()]
    means = [cells[0].partition("±")[0].strip() for cells in cells_of(axes)]
    assert list(zip(labels, means, strict=True))[-3:] == [
        ("Whole dataset (paper)", "84.0"),
        ("Whole dataset (lite)", "70.0"),
        ("Whole dataset (lite, lite: epochs=9)", "60.0"),
    ]


def test_colours_are_the_means_and_leave_the_whole_set_out(grid: list[Evaluation]) -> None:
    (axes,) = axes_of(grid)
    (image,) = axes.images
    shown = np.ma.filled(image.get_array(), np.nan)
    np.testing.assert_allclose(shown[0], [22, 20, 21])
    assert np.isnan(shown[1, 1])
    low, high = image.get_clim()
    assert low == 20
    assert 40 < high < 84


def test_the_architecture_distilled_with_is_framed(grid: list[Evaluation]) -> None:
    (axes,) = axes_of(grid)
    centres = [
        tuple(np.round(patch.get_center())) for patch in axes.patches if type(patch) is Rectangle
    ]
    assert centres == [(0, 1)]


def test_a_panel_for_each_protocol_with_two_architectures(grid: list[Evaluation]) -> None:
    other = [evaluated("random", 1, arch, 15, protocol="plain-v1") for arch in ("mlp", "vit")]
    lone = evaluated("random", 1, "mlp", 15, protocol="default-v1")
    both = [*grid, *other, lone]
    first, second = axes_of(both)
    assert "quick-v1" in first.texts[-1].get_text()
    assert "plain-v1" in second.texts[-1].get_text()
    title = " ".join(second.get_title(loc="left").split())
    assert title == "CIFAR-10, evaluated with several networks, plain-v1"
    assert [t.get_text() for t in second.get_xticklabels()] == ["MLP", "ViT"]


def test_modes_and_architectures_distilled_with_are_lines_of_their_own() -> None:
    dims = [
        evaluated("dim", 1, a, 30, mode=m) for a in ("mlp", "vit") for m in ("frozen", "stream")
    ]
    dms = [evaluated("dm", 1, a, 30, arch=b) for a in ("mlp", "vit") for b in ("vit", "convnet3")]
    (axes,) = axes_of([*dims, *dms])
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "DM (with convnet3), IPC 1", "DM (with vit), IPC 1",
        "DiM (stream), IPC 1", "DiM (frozen), IPC 1",
    ]  # fmt: skip


def test_names_are_in_order_of_family_and_size() -> None:
    names = ["vit", "resnet101", "resnet18", "vgg11", "convnet3", "resnet18_ap"]
    (axes,) = axes_of([evaluated("dm", 1, name, 30, arch="vgg11") for name in names])
    assert [t.get_text() for t in axes.get_xticklabels()] == [
        "VGG-11", "ConvNet-3", "ResNet-18", "ResNet-18-AP", "ResNet-101", "ViT",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("resnet18_ap", ["ResNet-18-AP"]),
        ("convnet3(norm=batch,width=64)", ["ConvNet-3", "(norm=batch,", "width=64)"]),
        ("timm:mobilenetv3_small_100", ["timm:", "mobilenetv3_", "small_100"]),
    ],
)
def test_long_names_are_broken_under_their_cells(name: str, lines: list[str]) -> None:
    (axes,) = axes_of([evaluated("dm", 1, arch, 30, arch="mlp") for arch in ("mlp", name)])
    assert axes.get_xticklabels()[1].get_text().splitlines() == lines


def test_one_architecture_is_no_transfer() -> None:
    evaluations = [evaluated("dm", 1, "mlp", 30), evaluated("dm", 10, "vgg11", 40)]
    with pytest.raises(BenchError, match="--eval-arch NAME,NAME"):
        axes_of(evaluations)


def test_files_are_there_and_the_same_twice(grid: list[Evaluation], tmp_path: Path) -> None:
    first, second = (PLOTS["cross-arch"](grid, tmp_path / name) for name in "ab")
    assert [path.name for path in first] == [
        "cross-arch.png", "cross-arch.svg", "cross-arch.pdf",
    ]  # fmt: skip
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    with Image.open(first[0]) as image:
        assert len(set(np.asarray(image.convert("RGB")).reshape(-1, 3)[:, 0])) > 10
