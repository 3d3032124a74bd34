from __future__ import annotations

import copy

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from torch import Tensor

from bench.distillation.context import Context
from bench.distillation.profiles import resolve_profile
from bench.distilled.image_set import ImageSet
from methods.dm import DM

ARCH = "convnet2(width=4)"
BATCH_NORM = "convnet2(width=4,norm=batch)"
SMALL = {"iterations": 4, "batch_real": 8, "lr_img": 0.1}


def start(ctx: Context, ipc: int = 2, arch: str = ARCH, **params: object) -> DM:
    method = begin(DM, ctx, ipc, arch, **{**SMALL, **params})
    assert isinstance(method, DM)
    return method


def images_of(method: DM) -> Tensor:
    made = method.result()
    assert isinstance(made, ImageSet)
    return made.images


def reference_step(ctx: Context, images: Tensor, arch: str, dsa: object) -> tuple[float, Tensor]:
    """Return the loss and gradient of the first step in float64, written class by class."""
    real, batch = ctx.real, SMALL["batch_real"]
    network = ctx.network(arch).train().double()
    classes = range(real.spec.num_classes)
    draws = [dsa.draw(1, real.spec.shape, ctx.generator("augmentation"), shared=True)
             for _ in classes]  # fmt: skip
    picks = [real.sample_class(c, batch, ctx.generator("real")) for c in classes]
    images = images.double().requires_grad_()
    whole = "norm=batch" in arch
    truths = [dsa.apply(real.gather(picks[c]).double(), draws[c]) for c in classes]
    copies = [dsa.apply(images[2 * c : 2 * c + 2], draws[c]) for c in classes]
    if whole:
        truths = list(network.embed(torch.cat(truths)).chunk(3))
        copies = list(network.embed(torch.cat(copies)).chunk(3))
    else:
        truths = [network.embed(x) for x in truths]
        copies = [network.embed(x) for x in copies]
    loss = sum(
        ((t.detach().mean(0) - s.mean(0)) ** 2).sum() for t, s in zip(truths, copies, strict=True)
    )
    loss.backward()
    return loss.item() / 3, images.grad


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_first_step_follows_the_gradient_computed_in_float64(arch: str) -> None:
    method, other = start(tiny_context(), arch=arch), tiny_context()
    before = images_of(method)
    loss, gradient = reference_step(other, before, arch, method.dsa)
    shown = method.step(0)["loss"]
    assert shown.item() == pytest.approx(loss, rel=1e-4)
    moved = (before - images_of(method)) / SMALL["lr_img"]
    torch.testing.assert_close(
        moved.double(), gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max()
    )


def test_momentum_carries_on() -> None:
    """With an equal gradient g twice, SGD with momentum m moves by g, then by (1 + m) g."""
    method = start(tiny_context(), momentum=0.5)
    moves = []
    for _ in range(2):
        before = images_of(method)
        method.descend(lambda _, images: images.flatten(1).sum(1))
        moves.append((before - images_of(method)).mean().item() / SMALL["lr_img"])
    assert moves == pytest.approx([1.0, 1.5], rel=1e-4)


@pytest.mark.parametrize("size", [1, 5, 7, 100])
def test_slices_change_nothing(size: int) -> None:
    whole, cut = start(tiny_context()), start(tiny_context())
    whole.slice_size, cut.slice_size = None, size
    losses = [method.step(0)["loss"] for method in (whole, cut)]
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(images_of(whole), images_of(cut))


def runs_of(method: DM, batch: int) -> list[slice]:
    """Return the runs of classes that a loss is asked for."""
    runs: list[slice] = []

    def loss(run: slice, images: Tensor) -> Tensor:
        runs.append(run)
        return images.sum()

    method.descend(loss, batch=batch)
    return runs


@pytest.mark.parametrize(("per_class", "sizes"), [(1, [3]), (32, [2, 1]), (48, [1, 1, 1])])
def test_groups_of_classes_fill_a_slice(per_class: int, sizes: list[int]) -> None:
    groups = runs_of(start(tiny_context()), per_class)
    assert [len(range(3)[group]) for group in groups] == sizes
    assert [c for group in groups for c in range(3)[group]] == [0, 1, 2]


def test_batch_norm_is_never_cut() -> None:
    method = start(tiny_context(), arch=BATCH_NORM)
    assert method.slice_size is None
    assert runs_of(method, 50) == [slice(0, 3)]


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_matching_lowers_the_loss(arch: str) -> None:
    method = start(tiny_context(), arch=arch, init="noise", dsa="none", lr_img=1.0, iterations=30)
    losses = [method.step(i)["loss"].item() for i in range(30)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_resume_is_bit_identical(stop: int) -> None:
    ctx = tiny_context()
    method = start(ctx)
    for i in range(stop):
        method.step(i)
    state, draws = copy.deepcopy(method.state_dict()), copy.deepcopy(ctx.state_dict())
    for i in range(stop, 4):
        method.step(i)
    fresh = tiny_context()
    again = start(fresh)
    again.load_state_dict(state)
    fresh.load_state_dict(draws)
    for i in range(stop, 4):
        again.step(i)
    assert torch.equal(images_of(method), images_of(again))


def test_first_images() -> None:
    real = tiny_real_set()
    method = start(tiny_context(real), ipc=3)
    made = method.result()
    assert isinstance(made, ImageSet)
    assert torch.equal(made.labels, torch.arange(3).repeat_interleave(3))
    for label in range(3):
        own = real.gather(real.class_indices[label])
        for image in made.images[made.labels == label]:
            assert (own == image).flatten(1).all(1).any()
    noise = images_of(start(tiny_context(tiny_real_set(per_class=2)), ipc=40, init="noise"))
    assert noise.shape == (120, 1, 8, 8)
    assert abs(noise.mean().item()) < 0.05
    assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_a_small_class_gives_all_it_has() -> None:
    """With every real image in the batch and as start, nothing is left to match."""
    ctx = tiny_context(tiny_real_set(per_class=3))
    loss = start(ctx, ipc=3, batch_real=8).step(0)["loss"]
    assert loss.item() == pytest.approx(0, abs=1e-8)


def test_seeds_decide() -> None:
    made = []
    for seed in (0, 0, 1):
        method = start(tiny_context(seed=seed), init="noise")
        method.step(0)
        made.append(images_of(method))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_bf16_stays_near_fp32() -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        method = start(tiny_context(precision=precision))
        losses.append(method.step(0)["loss"].item())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_skips_classes_that_are_too_small_to_start_from() -> None:
    real = tiny_real_set()
    reason = DM.skip(tiny_task(DM, real, 13, ARCH))
    assert reason is not None
    assert "smallest class holds 12 images, fewer than IPC 13" in reason
    assert DM.skip(tiny_task(DM, real, 12, ARCH)) is None
    assert DM.skip(tiny_task(DM, real, 13, ARCH, init="noise")) is None


@pytest.mark.parametrize(
    ("dataset", "ipc", "rate"),
    [("cifar10", 1, 1.0), ("cifar10", 10, 1.0), ("cifar10", 50, 1.0), ("cifar10", 100, 10.0),
     ("cifar10", 1250, 10.0), ("cifar100", 50, 1.0), ("cifar100", 125, 1.0), ("svhn", 100, 10.0)],
)  # fmt: skip
def test_paper_values(dataset: str, ipc: int, rate: float) -> None:
    params = resolve_profile(DM, "paper", {}, ipc, dataset)
    assert (params.iterations, params.lr_img, params.momentum) == (20_000, rate, 0.5)
    assert (params.batch_real, params.init) == (256, "real")
    assert params.dsa == "color_crop_cutout_flip_scale_rotate"


@pytest.mark.parametrize(("ipc", "steps", "rate"), [(1, 451, 1.0), (10, 350, 5.0), (50, 175, 25.0)])
def test_lite_is_what_it_says(ipc: int, steps: int, rate: float) -> None:
    params = resolve_profile(DM, "lite", {}, ipc)
    assert (params.iterations, params.batch_real, params.lr_img) == (steps, 64, rate)
    assert str(steps) in DM.profiles["lite"].gives_up
