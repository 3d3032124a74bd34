from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from builders import begin, tiny_context, tiny_real_set, tiny_task, unbalanced_real_set
from torch import Tensor, nn

from bench.augment.dsa import DSA
from bench.datasets.real_set import RealSet
from bench.distillation.context import Context
from bench.distillation.profiles import resolve_profile
from bench.distilled.image_set import ImageSet
from methods.dc import DC
from methods.dsa import SiameseMatching
from methods.shared.gradient_distance import gradient_distance
from methods.shared.gradient_matching import GradientMatching

ARCH = "convnet2(width=4)"
BATCH_NORM = "convnet2(width=4,norm=batch)"
SMALL = {"iterations": 2, "outer": 2, "inner": 2, "batch_real": 8}
METHODS = (DC, SiameseMatching)
# Of 8 that a step asks for, the classes of the last two sets have 8, 3 and 7, and 8, 3 and 8.
REAL_SETS = (tiny_real_set(), unbalanced_real_set(12, 3, 7), unbalanced_real_set(12, 3, 12))


def start(
    ctx: Context, cls: type[GradientMatching] = DC, ipc: int = 2, arch: str = ARCH, **params: object
) -> GradientMatching:
    method = begin(cls, ctx, ipc, arch, **{**SMALL, **params})
    assert isinstance(method, GradientMatching)
    return method


def images_of(method: GradientMatching) -> Tensor:
    made = method.result()
    assert isinstance(made, ImageSet)
    return made.images


def reference_distance(real: list[Tensor], distilled: list[Tensor]) -> Tensor:
    """Equations 9 and 10: one minus the cosine for each output node of each layer's weights."""
    total = torch.zeros((), dtype=torch.float64)
    for a, b in zip(real, distilled, strict=True):
        if a.ndim == 1:
            continue  # a bias, or a norm's scale or shift
        for node in range(len(a)):
            u, v = a[node].reshape(-1), b[node].reshape(-1)
            total = total + 1 - u.dot(v) / (u.norm() * v.norm() + 1e-6)
    return total


def reference_gradient(net: nn.Module, images: Tensor, label: int, *, graph: bool) -> list[Tensor]:
    loss = F.cross_entropy(net(images), torch.full((len(images),), label))
    return list(torch.autograd.grad(loss, list(net.parameters()), create_graph=graph))


def reference_network(ctx: Context, arch: str) -> nn.Module:
    """The network of the first step, in float64, after batch norm saw 16 real images per class."""
    net = ctx.network(arch).train().double()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    if norms:
        picks = [ctx.real.sample_class(c, 16, ctx.generator("norms")) for c in range(3)]
        net(ctx.real.gather(torch.cat(picks)).double())
    for norm in norms:
        norm.eval()
    return net


def reference_step(ctx: Context, images: Tensor, arch: str, dsa: DSA) -> tuple[float, Tensor]:
    """Return the loss and the gradient of the first step, class by class in float64."""
    real, net = ctx.real, reference_network(ctx, arch)
    draws = [dsa.draw(1, real.spec.shape, ctx.generator("augmentation"), shared=True)
             for _ in range(3)]  # fmt: skip
    picks = [real.sample_class(c, SMALL["batch_real"], ctx.generator("real")) for c in range(3)]
    images = images.double().requires_grad_()
    loss = torch.zeros((), dtype=torch.float64)
    for c, (pick, draw) in enumerate(zip(picks, draws, strict=True)):
        truth = dsa.apply(real.gather(pick).double(), draw)
        copies = dsa.apply(images[2 * c : 2 * c + 2], draw)
        target = reference_gradient(net, truth, c, graph=False)
        loss = loss + reference_distance(target, reference_gradient(net, copies, c, graph=True))
    loss.backward()
    assert images.grad is not None
    return loss.item() / 3, images.grad


def test_distance_is_that_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"conv": (5, 3, 3, 3), "bias": (5,), "layer norm": (5, 4, 4), "linear": (7, 20)}
    real, own = (
        {name: torch.randn(2, *shape, generator=generator) for name, shape in shapes.items()}
        for _ in range(2)
    )
    own["conv"] *= 1e-4  # so small that what is added to the norms matters
    expected = [
        reference_distance([a[c].double() for a in real.values()],
                           [b[c].double() for b in own.values()])
        for c in range(2)
    ]  # fmt: skip
    torch.testing.assert_close(gradient_distance(real, own).double(), torch.stack(expected))
    own["bias"] += 1
    torch.testing.assert_close(gradient_distance(real, own).double(), torch.stack(expected))


def test_distance_can_be_differentiated_where_a_node_has_no_gradient() -> None:
    real = {"weight": torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))}
    own = real["weight"].clone()
    own[0, 1] = 0
    own.requires_grad_()
    distance = gradient_distance(real, {"weight": own})
    assert distance.item() == pytest.approx(1, abs=1e-4)
    (found,) = torch.autograd.grad(distance.sum(), own)
    assert found.isfinite().all()


@pytest.mark.parametrize("real", REAL_SETS)
@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
@pytest.mark.parametrize("cls", METHODS)
def test_first_step_follows_the_gradient_computed_in_float64(
    cls: type[GradientMatching], arch: str, real: RealSet
) -> None:
    method, other = start(tiny_context(real), cls, arch=arch), tiny_context(real)
    before = images_of(method)
    loss, gradient = reference_step(other, before, arch, method.dsa)
    shown = method.step(0)["loss"]
    assert shown.item() == pytest.approx(loss, rel=1e-4)
    moved = (before - images_of(method)).double() / 0.1
    torch.testing.assert_close(moved, gradient, rtol=1e-3, atol=1e-3 * gradient.abs().max())


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_networks_train_by_plain_sgd_on_the_distilled_images(arch: str) -> None:
    method, other = start(tiny_context(), arch=arch), tiny_context()
    method.step(0)
    net = reference_network(other, arch).train()
    images = images_of(method).double()
    for _ in range(2):
        loss = F.cross_entropy(net(images), torch.arange(3).repeat_interleave(2))
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(net.parameters(), gradients, strict=True):
                weight -= 0.01 * gradient
    assert method.network.exists
    for name, value in method.network.get().state_dict().items():
        torch.testing.assert_close(value.double(), net.state_dict()[name].double())


def test_batches_of_training_cover_the_images() -> None:
    """Each epoch's batches are a shuffle of all distilled images, each augmented by itself."""
    method = start(tiny_context(), ipc=3, batch_train=4, inner=1)
    seen = []
    method.dsa = lambda images, generator: seen.append(images) or images
    method.train(method.ctx.network(ARCH))
    assert [len(images) for images in seen] == [4, 4, 1]
    shown, stored = torch.cat(seen).flatten(1), images_of(method).flatten(1)
    assert not torch.equal(shown, stored)
    assert torch.equal(shown[shown[:, 0].argsort()], stored[stored[:, 0].argsort()])


def test_a_network_serves_its_steps_and_does_not_train_after_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = start(tiny_context(), outer=3)
    nets: list[nn.Module] = []
    trained: list[int] = []
    match = method.match
    monkeypatch.setattr(method, "match", lambda net: nets.append(net) or match(net))
    monkeypatch.setattr(method, "train", lambda net: trained.append(len(nets) - 1))
    for i in range(method.steps()):
        method.step(i)
    assert len(nets) == 6
    assert [i for i in range(1, 6) if nets[i] is not nets[i - 1]] == [3]
    assert trained == [0, 1, 3, 4]
    assert not method.network.exists


def test_momentum_carries_on() -> None:
    """With an equal gradient g twice, SGD with momentum m moves by g, then by (1 + m) g."""
    method = start(tiny_context(), lr_img=0.1, momentum=0.5, inner=0)
    moves = []
    for _ in range(2):
        before = images_of(method)
        method.descend(lambda _, images: images.flatten(1).sum(1))
        moves.append((before - images_of(method)).mean().item() / 0.1)
    assert moves == pytest.approx([1.0, 1.5], rel=1e-4)


@pytest.mark.parametrize("real", REAL_SETS)
@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
@pytest.mark.parametrize("cls", METHODS)
def test_classes_in_one_pass_as_on_a_gpu_or_alone(
    cls: type[GradientMatching], arch: str, real: RealSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = (start(tiny_context(real), cls, arch=arch) for _ in range(2))
    losses = [alone.step(0)["loss"]]
    monkeypatch.setattr("bench.networks.functional.batches_classes", lambda device: True)
    # The kernels for a CPU know no vmap.
    monkeypatch.setattr("bench.distillation.passes.autocast", lambda ctx: nullcontext())
    together.slice_size = 2 * SMALL["batch_real"]
    losses.append(together.step(0)["loss"])
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(images_of(alone), images_of(together), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_matching_lowers_the_loss(arch: str) -> None:
    method = start(tiny_context(), arch=arch, iterations=40, outer=1, lr_img=1.0)
    losses = [method.step(i)["loss"].item() for i in range(40)]
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])


def test_the_augmentation_is_siamese() -> None:
    """Distilled images that are all the real ones leave nothing to match, however augmented."""
    ctx = tiny_context(tiny_real_set(per_class=3))
    method = start(ctx, SiameseMatching, ipc=3, iterations=8, outer=1, lr_img=0.0)
    rows = 4 + 4 + 3
    for i in range(8):
        assert method.step(i)["loss"].item() < 1e-3 * rows


def test_resume_within_a_network_draws_no_other() -> None:
    ctx = tiny_context()
    method = start(ctx, SiameseMatching, arch=BATCH_NORM)
    method.step(0)
    state, draws = copy.deepcopy((method.state_dict(), ctx.state_dict()))
    fresh = tiny_context()
    again = start(fresh, SiameseMatching, arch=BATCH_NORM)
    again.load_state_dict(state)
    fresh.load_state_dict(draws)
    for i in range(1, 4):
        method.step(i)
        again.step(i)
    assert torch.equal(images_of(method), images_of(again))


def test_bf16_stays_near_fp32() -> None:
    losses = [
        start(tiny_context(precision=precision)).step(0)["loss"].item()
        for precision in ("fp32", "bf16")
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize(
    ("ipc", "outer", "inner"),
    [(1, 1, 1), (10, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15), (50, 50, 10),
     (5, 5, 23), (15, 15, 38), (45, 45, 12), (51, 50, 10), (1000, 50, 10)],
)  # fmt: skip
def test_loops_follow_the_released_code_and_the_rule_between(
    ipc: int, outer: int, inner: int
) -> None:
    for cls in METHODS:
        params = resolve_profile(cls, "paper", {}, ipc)
        assert (params.outer, params.inner) == (outer, inner)


def test_paper_values() -> None:
    for cls, init in ((DC, "noise"), (SiameseMatching, "real")):
        params = resolve_profile(cls, "paper", {}, 10)
        assert (params.iterations, params.lr_img, params.momentum) == (1000, 0.1, 0.5)
        assert (params.lr_net, params.batch_real, params.batch_train) == (0.01, 256, 256)
        assert params.init == init


@pytest.mark.parametrize(("ipc", "steps", "inner"), [(1, 160, 5), (10, 80, 5), (50, 40, 1)])
@pytest.mark.parametrize("cls", METHODS)
def test_lite_is_what_it_says(
    cls: type[GradientMatching], ipc: int, steps: int, inner: int
) -> None:
    params = resolve_profile(cls, "lite", {}, ipc)
    assert (params.iterations * params.outer, params.inner) == (steps, inner)
    assert (params.batch_real, params.lr_img, params.init) == (64, 0.5, "real")
    assert str(steps) in cls.profiles["lite"].gives_up


def test_skips_classes_that_are_too_small_to_start_from() -> None:
    real = tiny_real_set()
    assert "fewer than IPC 13" in (SiameseMatching.skip(
        tiny_task(SiameseMatching, real, 13, ARCH)
    ) or "")  # fmt: skip
    assert DC.skip(tiny_task(DC, real, 13, ARCH)) is None
