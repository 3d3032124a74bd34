"""Requests expand to the right cells, and whatever is wrong with one is said before any work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.data_folder import DatasetInfo
from bench.datasets.spec import DatasetSpec
from bench.grid.expand import build_grid
from bench.grid.order import plan
from bench.grid.request import Request
from bench.registry.registry import METHODS
from bench.support.errors import BenchError


def find(name: str) -> DatasetInfo:
    spec = DatasetSpec(name, 10, 1, 28, 28, (0.5,), (0.5,), flip=False)
    return DatasetInfo(spec, "ab" * 32, 600, 100, (60,) * 10, Path("x"), verified=True)


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {"methods": ["random"], "datasets": ["mnist"], "profile": "smoke"}
    return Request(**{**values, **changes})


def test_sizes() -> None:
    grid = build_grid(request(methods=["random", "dim"], ipcs=(1, 10), seeds=2), find)
    # random: 2 IPC x 2 seeds; dim: one artefact per seed, and the GAN it starts from
    assert len(grid.distil) == 4 + 2 + 2
    # random: 4; dim: 2 IPC x 2 modes x 2 seeds
    assert len(grid.evaluate) == 4 + 8


@pytest.mark.parametrize("method", ["random", "real-stream"])
def test_what_has_one_step_has_no_set_before_it(method: str) -> None:
    grid = build_grid(request(methods=[method], ipcs=(1,), evaluate_at=(25, 50)), find)
    assert [cell.percent for cell in grid.distil] == [None]
    assert len(grid.evaluate) == 1


def test_a_second_ipc_costs_dim_no_distillation() -> None:
    one = build_grid(request(methods=["dim"], ipcs=(1,)), find)
    two = build_grid(request(methods=["dim"], ipcs=(1, 50)), find)
    assert {c.id for c in one.distil} == {c.id for c in two.distil}


@pytest.mark.parametrize("method", ["gan", "real-stream"])
def test_one_artefact_serves_every_reading_of_ten_images_per_class(method: str) -> None:
    """DiM's scripts show 128, 384 or 512 images of 10 classes: IPC 13, 38 and 51."""
    ipcs = (1, 10, 13, 38, 50, 51)
    grid = build_grid(request(methods=[method], ipcs=ipcs, modes=["stream"]), find)
    assert len(grid.distil) == 1
    assert [cell.ipc for cell in grid.evaluate] == list(ipcs)
    assert {cell.distil.id for cell in grid.evaluate} == {grid.distil[0].id}


def test_gan_is_shared_between_gan_and_dim() -> None:
    for profile in ("paper", "lite", "smoke"):
        grid = build_grid(request(methods=["gan", "dim"], ipcs=(1,), profile=profile), find)
        assert [c.method for c in grid.distil] == ["gan", "dim"]


def test_eval_archs_reuse_the_distilled_set() -> None:
    grid = build_grid(
        request(methods=["dm"], ipcs=(1,), eval_archs=["convnet3", "resnet18", "convnet3"]), find
    )
    assert len(grid.distil) == 1
    assert [c.arch for c in grid.evaluate] == ["convnet3", "resnet18"]


def test_archs_that_a_method_ignores_make_no_second_artefact() -> None:
    grid = build_grid(request(ipcs=(1,), archs=["convnet3", "resnet18"]), find)
    assert len(grid.distil) == 1
    assert len(grid.evaluate) == 2


def broken(*_: object) -> None:
    raise ZeroDivisionError("one too many")


def test_a_rule_for_skipping_that_fails_skips_its_method_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(METHODS.get("dm"), "skip", broken)
    grid = build_grid(request(methods=["dm", "random"], ipcs=(1,)), find)
    assert [cell.distil.method for cell in grid.evaluate] == ["random"]
    (skipped,) = grid.skipped
    assert skipped.cell.distil.method == "dm"
    assert skipped.reason == "skip() of dm failed: ZeroDivisionError: one too many"


def test_a_small_class_skips_only_the_cells_that_need_more_of_it() -> None:
    def find_small(name: str) -> DatasetInfo:
        counts = (60, 3, *(60,) * 8) if name == "small" else (60,) * 10
        return replace(find(name), class_counts=counts)

    methods = ["random", "dm", "dc", "idc", "gan", "dim", "whole"]
    for init in "noise", "real":
        overrides = {name: {"init": init} for name in ("dm", "dc", "idc")}
        grid = build_grid(
            request(methods=methods, datasets=["small", "mnist"], ipcs=(3, 5), overrides=overrides),
            find_small,
        )
        skipped = {(s.cell.distil.dataset, s.cell.distil.method, s.cell.ipc) for s in grid.skipped}
        needing = ("random",) if init == "noise" else ("random", "dm", "dc")
        assert skipped == {("small", method, 5) for method in needing}
        for skip in grid.skipped:
            assert skip.reason.startswith("the smallest class holds 3 images, fewer than IPC 5")
        computed = {(c.distil.dataset, c.distil.method, c.ipc) for c in grid.evaluate}
        everything = {(d, m, i) for d in ("small", "mnist") for m in methods[:-1] for i in (3, 5)}
        assert computed == (everything | {(d, "whole", None) for d in ("small", "mnist")}) - skipped


def test_a_prerequisite_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS.get("dim"), "prerequisite", broken)
    with pytest.raises(BenchError, match=r"prerequisite\(\) of dim failed: ZeroDivisionError"):
        build_grid(request(methods=["dim"], ipcs=(1,)), find)


def test_whole_is_evaluated_once() -> None:
    grid = build_grid(request(methods=["whole"], ipcs=(1, 10)), find)
    assert [c.ipc for c in grid.evaluate] == [None]


def test_plan_makes_before_it_evaluates() -> None:
    grid = build_grid(request(methods=["dim", "dm"], ipcs=(1, 10)), find)
    seen: set[str] = set()
    for cell in plan(grid):
        before = getattr(cell, "distil", None) or getattr(cell, "prerequisite", None)
        assert before is None or before.id in seen
        seen.add(cell.id)
    assert len(seen) == len(grid.distil) + len(grid.evaluate)


def test_default_protocol_follows_the_profile() -> None:
    for profile, protocol in (("paper", "default"), ("lite", "quick"), ("smoke", "smoke")):
        grid = build_grid(request(profile=profile, ipcs=(1,)), find)
        assert {c.protocol for c in grid.evaluate} == {protocol}


@given(st.permutations([1, 5, 10]), st.permutations(["random", "herding", "dm"]))
def test_ids_do_not_depend_on_order_or_company(ipcs: list[int], methods: list[str]) -> None:
    grid = build_grid(request(methods=methods, ipcs=ipcs), find)
    alone = {
        c.id
        for m in methods
        for i in ipcs
        for c in build_grid(request(methods=[m], ipcs=[i]), find).evaluate
    }
    assert {c.id for c in grid.evaluate} == alone


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ["rnadom"]}, ["unknown method 'rnadom'", "Did you mean 'random'?", "herding"]),
        ({"methods": []}, ["name at least one --method", "random"]),
        ({"stored_as": []}, ["--stored-as is an empty list: name at least one"]),
        ({"ipcs": []}, ["IPC is an empty list: name at least one"]),
        ({"archs": []}, ["--arch is an empty list: name at least one"]),
        ({"archs": ["convnet"]}, ["unknown architecture 'convnet'", "convnet3"]),
        ({"archs": ["convnet3(widht=3)"]}, ["widht", "width"]),
        ({"protocol": "defualt"}, ["unknown protocol", "Did you mean 'default'?"]),
        ({"profile": "light"}, ["unknown profile", "lite"]),
        ({"modes": ["steam"]}, ["unknown mode", "Did you mean 'stream'?"]),
        ({"precision": "fp16"}, ["unknown precision", "bf16"]),
        ({"ipcs": [0]}, ["IPC 0", "from 1"]),
        ({"ipcs": [-3]}, ["IPC -3"]),
        ({"ipcs": ["x"]}, ["IPC 'x'", "whole number"]),
        ({"ipcs": [1.5]}, ["IPC 1.5", "whole number"]),
        ({"seeds": 0}, ["--seeds 0"]),
        ({"eval_nets": 0}, ["--eval-nets 0"]),
        ({"methods": ["dm"], "overrides": {"dm": {"iteratons": 3}}}, ["iteratons", "iterations"]),
        ({"methods": ["dm"], "overrides": {"dm": {"iterations": 0}}}, ["dm.iterations = 0", "1"]),
        ({"overrides": {"dm": {"iterations": 3}}}, ["--set", "dm"]),
        (
            {"methods": ["dm"], "overrides": {"dm": {"dsa": "color_corp"}}},
            ["dm.dsa = 'color_corp'", "Did you mean 'crop'?"],
        ),
        ({"methods": ["idc"], "overrides": {"idc": {"augment": "x"}}}, ["idc.augment", "cutout"]),
        (
            {"methods": ["dim"], "overrides": {"dim": {"pool": "convnet3+restnet18"}}},
            ["dim.pool = 'restnet18'", "Did you mean 'resnet18'?"],
        ),
    ],
)
def test_bad_requests(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(BenchError) as caught:
        build_grid(request(**changes), find)
    for word in words:
        assert word in str(caught.value)


# --- where the authors published no setting ------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "dataset", "ipc", "arch", "mark"),
    [
        ("mtt", "svhn", 10, "convnet3", "svhn"), ("mtt", "cifar10", 10, "convnet3", None),
        ("mtt", "cifar10", 7, "convnet3", "IPC 7"), ("mtt", "tinyimagenet", 50, "convnet4", None),
        ("mtt", "imagenette128", 1, "convnet3", "imagenette128"),
        ("idc", "imagenet10", 10, "convnet3", "imagenet10"), ("idc", "svhn", 10, "convnet3", None),
        ("idc", "digits", 1, "convnet3", "digits"), ("idc", "fashionmnist", 1, "convnet3", None),
        ("dc", "mnist", 1, "mlp", "mlp"), ("dsa", "mnist", 1, "mlp(width=64)", "mlp"),
        ("dc", "mnist", 1, "convnet3", None), ("dc", "mnist", 15, "convnet3", "IPC 15"),
        ("dm", "svhn", 7, "mlp", None),
    ],
)  # fmt: skip
def test_the_paper_profile_is_marked_where_nothing_was_published(
    method: str, dataset: str, ipc: int, arch: str, mark: str | None
) -> None:
    values = {"methods": [method], "datasets": [dataset], "ipcs": (ipc,), "archs": [arch]}
    for profile in ("paper", "lite"):
        (cell,) = build_grid(request(**values, profile=profile), find).distil
        marked = mark is not None and profile == "paper"
        assert cell.profile == profile
        assert cell.changed.startswith(f"no published setting for {mark}" if marked else "")
        assert bool(cell.changed) == marked


def test_the_authors_rate_for_an_mlp_is_a_published_setting_again() -> None:
    values = {"methods": ["dc"], "archs": ["mlp"], "ipcs": (1,), "profile": "paper"}
    (cell,) = build_grid(request(**values, overrides={"dc": {"lr_img": 0.01}}), find).distil
    assert (cell.profile, cell.changed) == ("custom", "paper: lr_img=0.01")


def test_the_mark_is_no_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"methods": ["mtt"], "datasets": ["svhn"], "ipcs": (1,), "profile": "paper"}
    (marked,) = build_grid(request(**values), find).distil
    method = METHODS.get("mtt")
    monkeypatch.setattr(method, "unpublished", classmethod(lambda *_: None))
    (plain,) = build_grid(request(**values), find).distil
    assert plain.id == marked.id
    assert (plain.changed, bool(marked.changed)) == ("", True)


def test_a_rule_that_fails_is_said_in_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS.get("dm"), "unpublished", classmethod(lambda *_: 1 / 0))
    (cell,) = build_grid(request(methods=["dm"], ipcs=(1,), profile="paper"), find).distil
    assert "unpublished() of dm failed: " in cell.changed
