"""IDC: one step against float64, its distance, its parameters, its state."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task, unbalanced_real_set
from torch import Tensor
from torch.nn import functional as F

from bench.distillation.context import Context
from bench.distilled.factored_set import FactoredSet
from bench.support.seeds import make_generator
from methods.idc.method import IDC, gradient_gap

ARCH = "convnet2(width=4)"
BATCH_NORM = "convnet2(width=4,norm=batch)"
SMALL: dict[str, Any] = {
    "iterations": 2, "inner": 3, "batch_real": 8, "train_images": 12, "batch_train": 6,
    "lr_img": 0.01,
}  # fmt: skip


def start(ctx: Context, ipc: int = 2, arch: str = ARCH, **params: object) -> IDC:
    method = begin(IDC, ctx, ipc, arch, **{**SMALL, **params})
    assert isinstance(method, IDC)
    return method


def stored(method: IDC) -> Tensor:
    made = method.result()
    assert isinstance(made, FactoredSet)
    return made.images


def normalised(images: Tensor) -> Tensor:
    """The tiny set's mean and standard deviation are both one half."""
    return (images - 0.5) / 0.5


def conv_gradients(network: torch.nn.Module, images: Tensor, label: int, graph: bool) -> Any:
    weights = [w for w in network.parameters() if w.ndim == 4]
    loss = F.cross_entropy(network(images), torch.full((len(images),), label))
    return torch.autograd.grad(loss, weights, create_graph=graph)


def reference_step(
    ctx: Context, pixels: Tensor, arch: str, method: IDC, metric: str
) -> tuple[float, Tensor]:
    """Return the loss and the gradient by stored pixels ``(6, C, H, W)`` of the first step.

    In float64, written class by class from the paper; the parts are cut and enlarged by hand.
    """
    real, dsa = ctx.real, method.matching
    network = ctx.network(arch).train().double()
    classes = range(real.spec.num_classes)
    draws = [dsa.draw(1, real.spec.shape, ctx.generator("augmentation"), shared=True)
             for _ in classes]  # fmt: skip
    picks = [real.sample_class(c, 8, ctx.generator("real")) for c in classes]
    pixels = pixels.double().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for c in classes:
        parts = []
        for n in (2 * c, 2 * c + 1):
            for i in (0, 4):
                for j in (0, 4):
                    part = pixels[n : n + 1, :, i : i + 4, j : j + 4]
                    parts.append(F.interpolate(part, scale_factor=2, mode="bilinear"))
        truth = dsa.apply(normalised(real.images[picks[c]].double() / 255), draws[c])
        copies = dsa.apply(normalised(torch.cat(parts)), draws[c])
        wanted = conv_gradients(network, truth, c, graph=False)
        found = conv_gradients(network, copies, c, graph=True)
        for a, b in zip(wanted, found, strict=True):
            total = total + ((a - b).abs() if metric == "l1" else (a - b) ** 2).sum()
    total.backward()
    assert pixels.grad is not None
    return total.item() / len(classes), pixels.grad


@pytest.mark.parametrize("counts", [(12, 12, 12), (12, 3, 7), (12, 3, 12)])
@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
@pytest.mark.parametrize("metric", ["mse", "l1"])
def test_first_step_follows_the_gradient_computed_in_float64(
    metric: str, arch: str, counts: tuple[int, ...]
) -> None:
    real = unbalanced_real_set(*counts)
    method = start(tiny_context(real), arch=arch, metric=metric, momentum=0.0)
    before = stored(method)
    loss, gradient = reference_step(tiny_context(real), before, arch, method, metric)
    shown = method.step(0)["loss"]
    assert shown.item() == pytest.approx(loss, rel=1e-4)
    moved = (before - stored(method)).double() / SMALL["lr_img"]
    torch.testing.assert_close(moved, gradient, rtol=2e-3, atol=1e-3 * gradient.abs().max())


def test_the_distance_is_a_sum_over_the_weights_of_convolutions() -> None:
    real = {"conv": torch.ones(2, 3, 1, 2, 2), "norm": torch.ones(2, 3), "fc": torch.ones(2, 5, 4)}
    other = {name: torch.zeros_like(g) for name, g in real.items()}
    other["conv"][1] = 3.0
    assert gradient_gap(real, other, "l1").tolist() == [12.0, 24.0]
    assert gradient_gap(real, other, "mse").tolist() == [12.0, 48.0]


def test_a_network_without_convolutions_is_matched_by_its_matrices() -> None:
    real = {"fc": torch.ones(2, 5, 4), "bias": torch.ones(2, 5)}
    assert gradient_gap(real, {k: -v for k, v in real.items()}, "l1").tolist() == [40.0, 40.0]


def test_at_most_so_many_decoded_images_take_part_drawn_anew() -> None:
    method = start(tiny_context(), ipc=3, batch_decoded=5)
    draws = [method.choose() for _ in range(3)]
    assert all(len(set(draw.tolist())) == 5 for draw in draws)
    assert all(0 <= int(draw.min()) <= int(draw.max()) < 12 for draw in draws)
    assert len({tuple(draw.tolist()) for draw in draws}) > 1
    assert sorted(start(tiny_context(), ipc=3).choose().tolist()) == list(range(12))


@pytest.mark.parametrize("size", [1, 5, 100])
def test_slices_change_nothing(size: int) -> None:
    whole, cut = start(tiny_context()), start(tiny_context())
    whole.slice_size, cut.slice_size = None, size
    for i in range(3):
        losses = [method.step(i)["loss"] for method in (whole, cut)]
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(stored(whole), stored(cut), rtol=1e-4, atol=1e-5)


def test_a_network_serves_its_steps_and_trains_between_them() -> None:
    method = start(tiny_context())
    seen = []
    for i in range(4):
        method.step(i)
        seen.append(method.network.get() if method.network.exists else None)
    assert seen[0] is seen[1]
    assert seen[0] is not None
    assert seen[2] is None
    assert seen[3] is not seen[0]
    other = start(tiny_context(), train_images=0)
    for i in range(2):
        other.step(i)
    assert seen[0] is not None
    assert other.network.exists
    trained, idle = seen[0].weights, other.network.get().weights
    assert not any(torch.equal(trained[name], idle[name]) for name in trained if "weight" in name)


def test_pixels_are_clamped_before_a_network_and_not_after() -> None:
    method = start(tiny_context(), inner=2, lr_img=50.0)
    method.step(0)
    assert not bool(((stored(method) >= 0) & (stored(method) <= 1)).all())
    still = start(tiny_context(), inner=2, lr_img=0.0)
    wild = 3 * torch.randn(still.grids.pixels.shape, generator=make_generator(1))
    still.grids.pixels.copy_(wild)
    still.step(0)
    assert torch.equal(still.grids.pixels, wild.clamp(0, 1))
    still.grids.pixels.copy_(wild)
    still.step(1)
    assert torch.equal(still.grids.pixels, wild)


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM, "mlp(width=8)"])
def test_matching_lowers_the_loss(arch: str) -> None:
    method = start(
        tiny_context(), arch=arch, init="noise", augment="none", iterations=1, inner=15,
        train_images=0, batch_real=12, lr_img=2.0,
    )  # fmt: skip
    losses = [method.step(i)["loss"].item() for i in range(15)]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
@pytest.mark.parametrize("stop", [0, 1, 3, 4])
def test_resume_is_bit_identical(stop: int, arch: str) -> None:
    ctx = tiny_context()
    method = start(ctx, arch=arch)
    for i in range(stop):
        method.step(i)
    state, draws = copy.deepcopy(method.state_dict()), copy.deepcopy(ctx.state_dict())
    for i in range(stop, 6):
        method.step(i)
    fresh = tiny_context()
    again = start(fresh, arch=arch)
    again.load_state_dict(state)
    fresh.load_state_dict(draws)
    for i in range(stop, 6):
        again.step(i)
    assert torch.equal(stored(method), stored(again))


def test_the_result_stores_ipc_grids_and_shows_four_times_as_many() -> None:
    method = start(tiny_context(), ipc=3)
    made = method.result()
    assert isinstance(made, FactoredSet)
    assert made.storage_bytes == 9 * 64 * 4
    source = made.source("stored", 3, method.ctx.generator("unused"))
    assert source.images_per_epoch == 9 * IDC.shown_per_stored(method.params) == 36
    one = start(tiny_context(), factor=1)
    assert torch.equal(one.decode(one.grids.pixels[0], torch.arange(2)),
                       normalised(one.grids.pixels[0]))  # fmt: skip


def test_bf16_stays_near_fp32() -> None:
    losses = [start(tiny_context(precision=p)).step(0)["loss"].item() for p in ("fp32", "bf16")]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_a_factor_beyond_the_pixels_is_skipped() -> None:
    real = tiny_real_set()
    assert IDC.skip(tiny_task(IDC, real, 1, ARCH, factor=8)) is None
    reason = IDC.skip(tiny_task(IDC, real, 1, ARCH, factor=9))
    assert reason == "an image of 8 pixels has no 9 parts along a side"


def seen_in_training(**params: object) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return the images and targets of a round of training, and the images as they are stored."""
    ctx, images, targets = tiny_context(), list[Tensor](), list[Tensor]()
    method = start(ctx, **params)
    network = method.new_network("network")

    def descend(batch: Tensor, wanted: Tensor, _: Context) -> None:
        images.append(batch)
        targets.append(wanted)

    network.descend = descend  # type: ignore[method-assign]
    method.train(network)
    order = torch.randperm(36, generator=tiny_context().generator("order"))
    sizes = [len(batch) for batch in images]
    return images, targets, [ctx.real.gather(pick) for pick in order[: sum(sizes)].split(sizes)]


@pytest.mark.parametrize(
    ("wanted", "sizes"), [(12, [6, 6]), (13, [6, 6, 6]), (1, [6]), (100, [6] * 6), (0, [])]
)
def test_a_network_trains_on_whole_batches_that_share_no_image(
    wanted: int, sizes: list[int]
) -> None:
    images, _, plain = seen_in_training(train_images=wanted, augment="none", cutmix=0.0)
    assert [len(batch) for batch in images] == sizes
    assert all(map(torch.equal, images, plain))
    if images:
        rows = torch.cat(images).flatten(1)
        assert len(rows.unique(dim=0)) == len(rows)


def test_a_network_trains_on_augmented_and_mixed_images() -> None:
    _, targets, _ = seen_in_training(train_images=36, cutmix=0.0)
    assert all(batch.unique().tolist() == [0.0, 1.0] for batch in targets)
    images, _, plain = seen_in_training(train_images=36, augment="color_crop", cutmix=0.0)
    assert not any(map(torch.equal, images, plain))
    images, targets, plain = seen_in_training(train_images=36, augment="none", cutmix=1.0)
    assert not any(map(torch.equal, images, plain))
    assert any(len(batch.unique()) > 2 for batch in targets), "labels are mixed"


@pytest.mark.parametrize(
    ("cutmix", "operations"), [(0.5, ("color", "crop")), (0.0, ("color", "crop", "cutout"))]
)
def test_cutmix_takes_the_place_of_cutout(cutmix: float, operations: tuple[str, ...]) -> None:
    method = start(tiny_context(), cutmix=cutmix)
    assert method.training.operations == operations
    assert method.matching.operations == ("color", "crop", "cutout")
    assert method.matching.mode == method.training.mode == "all"
