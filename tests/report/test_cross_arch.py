from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from pandas import DataFrame
from PIL import Image
from report_frames import cell, frame_of

from bench.report import cross_arch
from bench.report.aggregate import collect
from bench.report.plot_style import plot_style
from bench.report.plots import PLOTS, plot_cross_arch
from bench.support.errors import BenchError


def judged(
    method: str, ipc: int | None, eval_arch: str, mean: float, **rest: Any
) -> dict[str, Any]:
    name = f"{method}-{ipc}-{sorted(rest.items())}"
    return cell(
        method=method, ipc=ipc, eval_arch=eval_arch, accuracies=[mean - 1, mean + 1],
        distil_id=name, cell_id=f"{name}-{eval_arch}", **rest,
    )  # fmt: skip


@pytest.fixture
def grid() -> DataFrame:
    dm = {"profile": "lite", "arch": "convnet3"}
    return frame_of(
        judged("random", 10, "mlp", 20),
        judged("random", 10, "vgg11", 21),
        judged("random", 10, "convnet3", 22),
        *(judged("dm", ipc, "convnet3", 30 + ipc, **dm) for ipc in (10, 1)),
        judged("dm", 10, "vgg11", 33, **dm),
        judged("whole", None, "convnet3", 84),
        judged("random", 10, "convnet3", 70, dataset="mnist"),
    )  # fmt: skip


def axes_of(frame: DataFrame) -> list[Axes]:
    with plot_style():
        return cross_arch._figure(collect(frame)).axes


def cells_of(axes: Axes) -> list[list[str]]:
    """Return what is written in the cells, line by line."""
    placed = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text()
              for t in axes.texts[:-1]}  # fmt: skip
    lines, across = (max(at[k] for at in placed) + 1 for k in (0, 1))
    return [[placed[y, x] for x in range(across)] for y in range(lines)]


def test_architectures_stand_across_and_methods_and_ipcs_down(grid: DataFrame) -> None:
    (axes,) = axes_of(grid)
    assert axes.get_title(loc="left") == "cifar10, judged with several architectures"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["convnet3", "mlp", "vgg11"]
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "Random, IPC 10", "DM, IPC 10", "Whole dataset",
    ]  # fmt: skip
    assert cells_of(axes) == [
        ["22.0 ± 1.4", "20.0 ± 1.4", "21.0 ± 1.4"],
        ["40.0 ± 1.4", "–", "33.0 ± 1.4"],
        ["84.0 ± 1.4", "–", "–"],
    ]


def test_colours_are_the_means_and_leave_the_whole_set_out(grid: DataFrame) -> None:
    (axes,) = axes_of(grid)
    (image,) = axes.images
    shown = np.ma.filled(image.get_array(), np.nan)
    np.testing.assert_allclose(shown[0], [22, 20, 21])
    assert np.isnan(shown[1, 1])
    low, high = image.get_clim()
    assert low == 20
    assert 40 < high < 84


def test_what_the_judge_was_distilled_with_is_framed(grid: DataFrame) -> None:
    (axes,) = axes_of(grid)
    centres = [
        tuple(np.round(patch.get_center())) for patch in axes.patches if type(patch) is Rectangle
    ]
    assert centres == [(0, 1)]


def test_a_panel_for_each_protocol_with_two_architectures(grid: DataFrame) -> None:
    other = [judged("random", 1, arch, 15, protocol="plain-v1") for arch in ("mlp", "vit")]
    lone = judged("random", 1, "mlp", 15, protocol="default-v1")
    both = frame_of(*grid.to_dict("records"), *other, lone)
    first, second = axes_of(both)
    assert "quick-v1" in first.texts[-1].get_text()
    assert "plain-v1" in second.texts[-1].get_text()
    assert [t.get_text() for t in second.get_xticklabels()] == ["mlp", "vit"]


def test_modes_and_architectures_distilled_with_are_lines_of_their_own() -> None:
    dims = [judged("dim", 1, a, 30, mode=m) for a in ("mlp", "vit") for m in ("frozen", "stream")]
    dms = [judged("dm", 1, a, 30, arch=b) for a in ("mlp", "vit") for b in ("vit", "convnet3")]
    (axes,) = axes_of(frame_of(*dims, *dms))
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "DM (with convnet3), IPC 1", "DM (with vit), IPC 1",
        "DiM (stream), IPC 1", "DiM (frozen), IPC 1",
    ]  # fmt: skip


def test_names_are_in_order_of_family_and_size() -> None:
    names = ["vit", "resnet101", "resnet18", "vgg11", "convnet3", "resnet18_ap"]
    rows = collect(frame_of(*(judged("dm", 1, name, 30, arch="vgg11") for name in names)))
    assert cross_arch._archs(rows) == [
        "vgg11", "convnet3", "resnet18", "resnet18_ap", "resnet101", "vit",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("resnet18_ap", ["resnet18_ap"]),
        ("convnet3(norm=batch,width=64)", ["convnet3", "(norm=batch,", "width=64)"]),
        ("timm:mobilenetv3_small_100", ["timm:", "mobilenetv3_", "small_100"]),
    ],
)
def test_long_names_are_broken_under_their_cells(name: str, lines: list[str]) -> None:
    assert cross_arch._broken(name).splitlines() == lines


def test_one_architecture_is_no_transfer() -> None:
    frame = frame_of(judged("dm", 1, "mlp", 30), judged("dm", 10, "vgg11", 40))
    with pytest.raises(BenchError, match="--eval-arch NAME,NAME"):
        axes_of(frame)


def test_files_are_there_and_the_same_twice(grid: DataFrame, tmp_path: Path) -> None:
    first, second = (plot_cross_arch(grid, tmp_path / name) for name in "ab")
    assert PLOTS["cross-arch"] is plot_cross_arch
    assert [path.name for path in first] == ["cross-arch.png", "cross-arch.svg"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    with Image.open(first[0]) as image:
        assert len(set(np.asarray(image.convert("RGB")).reshape(-1, 3)[:, 0])) > 10
