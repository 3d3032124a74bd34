"""One step of either network against the whole loss, put together in float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from builders import begin, tiny_context
from torch import Tensor
from torch.nn import functional as F

from bench.distillation import passes
from bench.distillation.context import Context
from bench.support.seeds import make_generator
from methods.gan.method import ConditionalGAN

TINY: dict[str, Any] = {"width": 3, "noise_dim": 12, "epochs": 2, "batch": 8}
LABELS = torch.tensor([0, 1, 2, 2, 1])


def started(**params: Any) -> tuple[Any, Context]:
    ctx = tiny_context()
    method: Any = begin(ConditionalGAN, ctx, None, None, **{**TINY, **params})
    return method, ctx


def handed_to(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """Return a list that takes up the gradients of the optimiser's next step."""
    found: list[Tensor] = []

    def look(*_: object) -> None:
        found.extend(w.grad.clone() for w in optimiser.param_groups[0]["params"])

    optimiser.register_step_pre_hook(look)
    return found


def assert_near(actual: list[Tensor], expected: tuple[Tensor, ...]) -> None:
    assert len(actual) == len(expected)
    scale = max(float(g.abs().max()) for g in expected)
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.parametrize("slice_size", [None, 4])
@pytest.mark.parametrize("few", [None, 3])
@pytest.mark.parametrize("weight", [10.0, 0.5])
def test_the_discriminator_follows_the_whole_loss(
    weight: float, few: int | None, slice_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if slice_size is not None:
        monkeypatch.setattr(passes, "slice_for", lambda _: slice_size)
    changes = {"penalty_weight": weight, "penalty_batch": few}
    (method, _), (twin, ctx) = started(**changes), started(**changes)
    real, labels = method.batches.pick(0)
    given = handed_to(method.pair.discriminator_adam)
    shown = method.pair.discriminator_step(real, labels)

    fake, fake_labels = (t.double() if t.is_floating_point() else t for t in twin.pair.draw(8))
    critic = twin.pair.discriminator.double()
    n = few or len(real)
    mix = torch.rand(n, 1, 1, 1, generator=ctx.generator("penalty")).double()
    (true, true_classes), (false, false_classes) = critic(real.double()), critic(fake)
    between = (mix * real[:n].double() + (1 - mix) * fake[:n]).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between)[0].sum(), between, create_graph=True)
    penalty = ((slope.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
    loss = (
        false.mean() - true.mean() + F.cross_entropy(true_classes, labels)
        + F.cross_entropy(false_classes, fake_labels) + weight * penalty
    )  # fmt: skip
    expected = torch.autograd.grad(loss, list(critic.parameters()))
    assert shown.item() == pytest.approx(loss.item(), rel=1e-4)
    assert_near(given, expected)


def test_the_generator_follows_its_loss_and_what_is_added() -> None:
    """What is added here is a weighted sum of the images, so its gradient is the weights."""
    (method, _), (twin, ctx) = started(), started()
    pattern = torch.randn(len(LABELS), *method.spec.shape, generator=make_generator(5))
    given = handed_to(method.pair.generator_adam)
    shown = method.pair.generator_step(LABELS, lambda x: ((x * pattern).sum(), pattern))

    generator, critic = copy.deepcopy((twin.pair.generator, twin.pair.discriminator))
    latent = generator.latent(LABELS, ctx.generator("noise")).double()
    fake = generator.double()(latent)
    source, classes = critic.double()(fake)
    loss = -source.mean() + F.cross_entropy(classes, LABELS) + (fake * pattern.double()).sum()
    expected = torch.autograd.grad(loss, list(generator.parameters()))
    assert shown.item() == pytest.approx(loss.item(), rel=1e-4)
    assert_near(given, expected)


def test_both_step_with_the_released_codes_adam() -> None:
    pair = started(lr=3e-4)[0].pair
    for optimiser in (pair.generator_adam, pair.discriminator_adam):
        (group,) = optimiser.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-4, (0.0, 0.9), 0)
