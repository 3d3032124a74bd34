"""One step of either network against the whole loss, put together in float64."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import begin, tiny_context
from fake_recorder import ChannelsLast, FakeRecorder
from torch import Tensor
from torch.nn import functional as F

from bench.distillation import passes
from bench.distillation.context import Context
from bench.distilled.io import load, save
from bench.networks.step_reasons import take_reasons
from bench.support.seeds import make_generator
from methods.gan.gradients import Extra
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
    extra = Extra(lambda x: (0.5 * (x * pattern).sum(), 0.5 * pattern), weight=2.0)
    shown, added = method.pair.matching_step(LABELS, extra)

    generator, critic = copy.deepcopy((twin.pair.generator, twin.pair.discriminator))
    latent = generator.latent(LABELS, ctx.generator("noise")).double()
    fake = generator.double()(latent)
    source, classes = critic.double()(fake)
    more = (fake * pattern.double()).sum()
    loss = -source.mean() + F.cross_entropy(classes, LABELS) + more
    expected = torch.autograd.grad(loss, list(generator.parameters()))
    assert shown.item() == pytest.approx(loss.item(), rel=1e-4)
    assert added.item() == pytest.approx(more.item(), rel=1e-4)
    assert_near(given, expected)


def test_both_step_with_the_released_codes_adam() -> None:
    pair = started(lr=3e-4)[0].pair
    for optimiser in (pair.generator_adam, pair.discriminator_adam):
        (group,) = optimiser.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-4, (0.0, 0.9), 0)


PROJECTION: dict[str, Any] = {"objective": "projection", "penalty_weight": 0.5}


def class_scores(critic: Any, images: Tensor, labels: Tensor) -> Tensor:
    source, classes = critic(images)
    scores: Tensor = source + classes[torch.arange(len(labels)), labels]
    return scores


@pytest.mark.parametrize(("penalised", "every"), [(False, 1), (True, 1), (True, 16)])
def test_the_critic_that_sees_the_class_follows_its_whole_loss(penalised: bool, every: int) -> None:
    """It draws images of the real batch's classes, and its penalty is at real images."""
    changes = {**PROJECTION, "penalty_batch": 3, "penalty_every": every}
    (method, _), (twin, _) = started(**changes), started(**changes)
    real, labels = method.batches.pick(0)
    given = handed_to(method.pair.discriminator_adam)
    shown = method.pair.discriminator_step(real, labels, penalised=penalised)

    fake, fake_labels = twin.pair.draw(8, labels)
    assert torch.equal(fake_labels, labels)
    critic = twin.pair.discriminator.double()
    few = real[:3].double().requires_grad_()
    (slope,) = torch.autograd.grad(
        class_scores(critic, few, labels[:3]).sum(), few, create_graph=True
    )
    penalty = slope.square().sum((1, 2, 3)).mean()
    false, true = (class_scores(critic, x.double(), labels) for x in (fake, real))
    loss = (1 + false).relu().mean() + (1 - true).relu().mean()
    loss = loss + F.cross_entropy(critic(real.double())[1], labels)
    loss = loss + penalised * every * 0.5 * penalty
    expected = torch.autograd.grad(loss, list(critic.parameters()), materialize_grads=True)
    assert shown.item() == pytest.approx(loss.item(), rel=1e-4)
    assert_near(given, expected)


def test_the_generator_follows_the_critic_that_sees_the_class() -> None:
    (method, _), (twin, ctx) = started(**PROJECTION), started(**PROJECTION)
    given = handed_to(method.pair.generator_adam)
    shown = method.pair.generator_step(LABELS)

    generator, critic = copy.deepcopy((twin.pair.generator, twin.pair.discriminator))
    latent = generator.latent(LABELS, ctx.generator("noise")).double()
    loss = -class_scores(critic.double(), generator.double()(latent), LABELS).mean()
    assert shown.item() == pytest.approx(loss.item(), rel=1e-4)
    assert_near(given, torch.autograd.grad(loss, list(generator.parameters())))


def test_the_penalty_comes_every_so_many_steps() -> None:
    """A heavy one pulls the scores' slopes down in its own step."""
    losses = {}
    for every in (1, 2):
        method, _ = started(penalty_every=every, penalty_weight=100.0, lr=0.0)
        losses[every] = [float(method.step(i)["discriminator_loss"]) for i in range(4)]
    assert losses[2][0] > losses[1][0], "as much heavier as it is rarer"
    assert losses[2][1] < losses[1][1], "none in the next step"
    assert losses[2][2] > losses[1][2]
    assert losses[2][3] < losses[1][3]


@pytest.mark.parametrize("after", [0.5, 1.0])
def test_the_discriminator_has_a_rate_of_its_own(after: float) -> None:
    method, _ = started(lr=0.01, discriminator_rate=4.0, decay_after=after)
    for i, factor in enumerate([1, 1, 1, 1, 1, 0.75] if after < 1 else [1] * 6):
        method.step(i)
        rates = [
            group["lr"]
            for each in (method.pair.generator_adam, method.pair.discriminator_adam)
            for group in each.param_groups
        ]
        assert rates == pytest.approx([0.01 * factor, 0.04 * factor])


def test_the_generator_that_counts_has_averaged_weights() -> None:
    """The mean forgets at the given rate, and faster in the first steps."""
    method, _ = started(memory=0.2, lr=0.01)
    pair = method.pair
    expected = {name: value.double() for name, value in pair.generator.state_dict().items()}
    for i, memory in enumerate([0.1, 2 / 11, 0.2, 0.2]):
        method.step(i)
        for name, value in pair.generator.state_dict().items():
            expected[name] = memory * expected[name] + (1 - memory) * value.double()
    averaged = method.result().network.state_dict()
    for name, value in pair.generator.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(
                averaged[name].double(), expected[name], rtol=1e-4, atol=1e-6
            )
            assert not torch.equal(averaged[name], value)
        else:
            assert torch.equal(averaged[name], value)


def test_without_a_mean_the_last_weights_count() -> None:
    method, _ = started()
    method.step(0)
    assert method.pair.trained is method.pair.generator
    assert not any(name.startswith("averaged") for name in method.pair.state_dict())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {**PROJECTION, "penalty_every": 2, "memory": 0.5},
        {**PROJECTION, "own_vectors": True, "class_weight": 0.5},
    ],
)
def test_replayed_steps_are_plain_steps(
    changes: dict[str, Any], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def states() -> dict[str, Tensor]:
        method, _ = started(**changes)
        # Losses are read after many steps, so that each must be a tensor of its own.
        losses = [method.step(i) for i in range(8)]
        named = {
            f"{name} {i}": loss for i, each in enumerate(losses) for name, loss in each.items()
        }
        return {**method.pair.state_dict(), **named}

    plain, recorder = states(), FakeRecorder()
    monkeypatch.setattr(passes, "recorder_for", lambda _: recorder)
    replayed = states()
    assert replayed.keys() == plain.keys()
    assert all(torch.equal(replayed[name], plain[name]) for name in plain)
    assert set(take_reasons()) >= {"generator"}
    assert recorder.replays > 0


def test_steps_with_channels_last_are_those_with_channels_first(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for rounding; and what they leave can be saved and resumed from."""
    changes = {"width": 4, "memory": 0.5}  # networks that no other test has
    first, _ = started(**changes)
    take_reasons()
    monkeypatch.setattr(passes, "recorder_for", lambda _: ChannelsLast())
    last, _ = started(**changes)
    reasons = take_reasons()
    for network in (last.pair.generator, last.pair.discriminator, last.pair.averaged):
        weight = next(w for w in network.parameters() if w.dim() == 4 and w.shape[1] > 1)
        assert weight.is_contiguous(memory_format=torch.channels_last)
    for name in ("generator", "discriminator"):
        assert reasons[f"memory order of the {name}"].startswith("channels last")
    for i in range(3):
        for loss, other in zip(first.step(i).values(), last.step(i).values(), strict=True):
            torch.testing.assert_close(loss, other, rtol=1e-4, atol=1e-5)
    save(last.result(), tmp_path / "set.safetensors")
    saved = load(tmp_path / "set.safetensors").tensors()
    assert all(torch.equal(saved[name], value) for name, value in last.result().tensors().items())
    resumed, _ = started(**changes)
    resumed.pair.load_state_dict(copy.deepcopy(last.pair.state_dict()))
    for name, value in resumed.pair.state_dict().items():
        assert torch.equal(value, last.pair.state_dict()[name])
