from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from torch import Tensor
from unrolled_students import unrolled

from bench.datasets.data_folder import DatasetInfo
from bench.datasets.spec import DatasetSpec
from bench.distillation.context import Context
from bench.distillation.profiles import resolve_profile
from bench.distilled.image_set import ImageSet
from bench.grid.expand import build_grid
from bench.grid.request import Request
from bench.ledger.shared import SharedFolder
from bench.support.errors import BenchError
from methods.mtt.method import MTT
from methods.mtt.settings import setting
from methods.mtt.trajectory_loss import InnerStep

ARCH = "convnet2(width=4)"
SMALL: dict[str, Any] = {
    "iterations": 4, "syn_steps": 3, "expert_epochs": 1, "max_start_epoch": 2, "experts": 2,
    "batch_syn": 4, "lr_img": 5.0, "lr_lr": 1e-6, "expert_lr": 0.5, "zca": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> SharedFolder:
    """Experts that the tests of this file train once."""
    return SharedFolder(tmp_path_factory.mktemp("store"))


def start(ctx: Context, ipc: int = 2, arch: str = ARCH, **params: object) -> MTT:
    method = begin(MTT, ctx, ipc, arch, **{**SMALL, **params})
    assert isinstance(method, MTT)
    return method


def made_by(method: MTT) -> ImageSet:
    made = method.result()
    assert isinstance(made, ImageSet)
    return made


def first_draws(ctx: Context, method: MTT) -> tuple[Tensor, Tensor, list[InnerStep]]:
    """Draw, as the first step does, an expert's stretch and three batches of 4 of the 6 images."""
    expert, epoch = ctx.draw_int(2, "expert"), ctx.draw_int(2, "start")
    ends = [
        method.network.flatten(method.experts.weights(expert, at)).double()
        for at in (epoch, epoch + 1)
    ]
    order, noise = ctx.generator("order"), ctx.generator("augmentation")
    passes = [torch.randperm(6, generator=order) for _ in range(2)]
    batches = [passes[0][:4], passes[0][4:], passes[1][:4]]
    steps = [InnerStep(b, method.dsa.draw(len(b), (1, 8, 8), noise)) for b in batches]
    return ends[0], ends[1], steps


@pytest.mark.parametrize("gradient", ["exact", "tesla"])
@pytest.mark.parametrize("arch", [ARCH, "convnet2(width=4,norm=batch)"])
def test_first_step_follows_the_gradient_computed_in_float64(
    arch: str, gradient: str, cache: SharedFolder
) -> None:
    lr_lr = 1e-3
    ctx, other = tiny_context(cache=cache), tiny_context()
    method = start(ctx, arch=arch, gradient=gradient, lr_lr=lr_lr)
    before = made_by(method)
    begins, ends, steps = first_draws(other, method)
    expected = unrolled(
        other.network(arch).train().double(), method.dsa, before.images.double(), before.labels,
        torch.tensor(before.learning_rate).double(), steps, begins, ends,
        exact=gradient == "exact",
    )  # fmt: skip
    shown = method.step(0)
    after = made_by(method)
    assert shown["loss"].item() == pytest.approx(expected.loss.item(), rel=1e-4)
    assert shown["step_size"].item() == pytest.approx(before.learning_rate)
    moved = (before.images - after.images).double() / SMALL["lr_img"]
    scale = float(expected.images.abs().max())
    torch.testing.assert_close(moved, expected.images, rtol=1e-3, atol=1e-3 * scale)
    assert before.learning_rate is not None
    assert after.learning_rate is not None
    rate = (before.learning_rate - after.learning_rate) / lr_lr
    assert rate == pytest.approx(expected.step_size.item(), rel=1e-3)


def test_momentum_carries_on(cache: SharedFolder) -> None:
    """With an equal gradient g twice, SGD with momentum m moves by g, then by (1 + m) g."""
    method = start(tiny_context(cache=cache), momentum=0.5, lr_lr=1e-3)
    matched = method.loss(
        method.images.flatten(0, 1), method.labels, method.step_size, method.inner_steps(),
        torch.zeros_like(flat(method)), flat(method),
    )  # fmt: skip
    method.loss = lambda *_: matched
    values = [(made_by(method).images, made_by(method).learning_rate)]
    for i in range(2):
        method.step(i)
        values.append((made_by(method).images, made_by(method).learning_rate))
    pixels = [(a - b) / SMALL["lr_img"] for (a, _), (b, _) in pairwise(values)]
    torch.testing.assert_close(pixels[0], matched.images, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(pixels[1], 1.5 * matched.images, rtol=1e-3, atol=1e-6)
    rates = [(a - b) / 1e-3 for (_, a), (_, b) in pairwise(values)]
    assert rates == pytest.approx([float(matched.step_size) * f for f in (1, 1.5)], rel=1e-3)


def flat(method: MTT) -> Tensor:
    return method.network.flatten(method.experts.weights(0, 0))


def test_matching_lowers_the_loss(cache: SharedFolder) -> None:
    few = {"experts": 1, "max_start_epoch": 1, "dsa": "none", "batch_syn": None, "syn_steps": 5}
    method = start(tiny_context(cache=cache), **few, iterations=40, lr_img=50.0, step_size=0.1)
    losses = [method.step(i)["loss"].item() for i in range(40)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_resume_is_bit_identical(stop: int, cache: SharedFolder) -> None:
    ctx = tiny_context(cache=cache)
    method = start(ctx, lr_img=0.1)
    for i in range(stop):
        method.step(i)
    state, draws = copy.deepcopy(method.state_dict()), copy.deepcopy(ctx.state_dict())
    for i in range(stop, 4):
        method.step(i)
    fresh = tiny_context()  # no cache: experts are trained again, to the same weights
    again = start(fresh, lr_img=0.1)
    again.load_state_dict(state)
    fresh.load_state_dict(draws)
    for i in range(stop, 4):
        again.step(i)
    assert torch.equal(made_by(method).images, made_by(again).images)
    assert made_by(method).learning_rate == made_by(again).learning_rate


def test_whitening_reaches_images_experts_and_the_result(cache: SharedFolder) -> None:
    real = tiny_real_set()
    method = start(tiny_context(real, cache=cache), zca=True, expert_epochs=1)
    first = made_by(method)
    assert first.zca is not None
    for label in range(3):
        own = first.zca.whiten(real.images[real.class_indices[label]])
        for image in first.images[first.labels == label]:
            assert (own - image).abs().flatten(1).amax(1).min() < 1e-5
    method.step(0)
    made = made_by(method)
    assert made.zca is first.zca
    assert not torch.equal(made.images, first.images)
    plain = start(tiny_context(real, cache=cache))
    assert not torch.equal(flat(method), flat(plain))


def test_a_learning_rate_that_is_lost_is_said(cache: SharedFolder) -> None:
    method = start(tiny_context(cache=cache))
    method.step_size.fill_(-0.25)
    with pytest.raises(BenchError, match=r"learning rate became -0.25: a smaller lr_lr than 1e-06"):
        method.result()


def test_seeds_decide_but_experts_stay(cache: SharedFolder) -> None:
    made = []
    for seed in (0, 0, 1):
        method = start(tiny_context(seed=seed, cache=cache), init="noise")
        method.step(0)
        made.append((made_by(method).images, flat(method)))
    assert torch.equal(made[0][0], made[1][0])
    assert not torch.equal(made[0][0], made[2][0])
    assert torch.equal(made[0][1], made[2][1])


def test_skips_classes_that_are_too_small_to_start_from() -> None:
    reason = MTT.skip(tiny_task(MTT, tiny_real_set(), 13, ARCH))
    assert reason is not None
    assert "12 images, fewer than IPC 13" in reason


@pytest.mark.parametrize(
    ("dataset", "ipc", "command"),
    [("cifar10", 1, (50, 2, 2, None, 100, 1e-7, 0.01, True)),
     ("cifar10", 10, (30, 2, 20, None, 100, 1e-5, 0.001, True)),
     ("cifar10", 50, (30, 2, 40, None, 1000, 1e-5, 0.001, False)),
     ("cifar100", 1, (20, 3, 20, None, 1000, 1e-5, 0.01, True)),
     ("cifar100", 10, (20, 2, 20, None, 1000, 1e-5, 0.01, False)),
     ("cifar100", 50, (80, 2, 40, 125, 1000, 1e-5, 0.01, True))],
)  # fmt: skip
def test_paper_values(dataset: str, ipc: int, command: tuple[float | None, ...]) -> None:
    """The commands that DC-BENCH prints as the authors', in the order of their options."""
    found = resolve_profile(MTT, "paper", {}, ipc, dataset)
    names = ("syn_steps", "expert_epochs", "max_start_epoch", "batch_syn", "lr_img", "lr_lr",
             "step_size", "zca")  # fmt: skip
    assert tuple(getattr(found, name) for name in names) == command
    assert (found.iterations, found.momentum, found.gradient, found.init) == (
        5000, 0.5, "exact", "real",
    )  # fmt: skip
    assert (found.experts, found.expert_lr, found.expert_batches) == (100, 0.01, None)
    assert found.dsa == "color_crop_cutout_flip_scale_rotate"


@pytest.mark.parametrize(
    ("dataset", "ipc", "same_as"),
    [("cifar10", 2, ("cifar10", 1)), ("cifar10", 20, ("cifar10", 10)),
     ("cifar100", 100, ("cifar100", 50)), ("cifar10", 4, ("cifar10", 10))],
)  # fmt: skip
def test_other_ipcs_take_the_nearest_row(dataset: str, ipc: int, same_as: tuple[str, int]) -> None:
    assert setting(dataset, ipc) == setting(*same_as)


def test_other_datasets_take_cifar10s_rows_without_whitening() -> None:
    params = resolve_profile(MTT, "paper", {}, 1, "mnist")
    assert (params.syn_steps, params.lr_lr, params.zca) == (50, 1e-7, False)
    assert resolve_profile(MTT, "paper", {}, 1, "cifar10").zca


def test_the_grid_gives_each_dataset_its_own_row() -> None:
    def find(name: str) -> DatasetInfo:
        spec = DatasetSpec(name, 10, 3, 32, 32, (0.5,) * 3, (0.5,) * 3, flip=True)
        return DatasetInfo(spec, "ab" * 32, 600, 100, (60,) * 10, Path("x"), verified=True)

    grid = build_grid(Request(["mtt"], ["cifar10", "cifar100", "svhn"], [1]), find)
    assert [cell.params["syn_steps"] for cell in grid.distil] == [50, 20, 50]
    assert [cell.params["zca"] for cell in grid.distil] == [True, True, False]
    assert {cell.profile for cell in grid.distil} == {"paper"}


@pytest.mark.parametrize(("ipc", "iterations", "batch"), [(1, 180, 20), (10, 90, 20), (50, 36, 50)])
def test_lite_is_what_it_says(ipc: int, iterations: int, batch: int) -> None:
    params = resolve_profile(MTT, "lite", {}, ipc, "cifar10")
    assert (params.iterations, params.batch_syn, params.syn_steps) == (iterations, batch, 10)
    assert (params.experts, params.expert_batches, params.zca) == (2, 30, False)
    assert str(iterations) in MTT.profiles["lite"].gives_up
