from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import tiny_context
from fake_recorder import ChannelsLast
from torch import Tensor
from torch.nn import functional as F

from bench.augment.dsa import DSA
from bench.distillation import passes
from bench.distillation.context import Context
from bench.networks.step_reasons import take_reasons
from bench.support.errors import BenchError
from bench.support.seeds import make_generator
from methods.dim.logit_matching import LogitMatcher
from methods.dim.siamese_loss import logit_distance

NETS = ("convnet1(width=4)", "convnet2(width=4,norm=batch)")


def matcher(ctx: Context, pool: tuple[str, ...] = NETS[:1], **given: Any) -> LogitMatcher:
    rest = {"strategy": "color_crop_cutout", "batch": 6, "train_steps": 2, "lr": 0.01, **given}
    made = LogitMatcher(ctx, pool, **rest)
    made.renew()
    return made


def images(seed: int, n: int = 5) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=make_generator(seed)) * 2 - 1


def distance(made: LogitMatcher, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of a step, and its gradient on the generated images."""
    extra = made.extra(real, 1.0)
    return extra.loss(fake, *extra.inputs)


def log_probabilities(logits: Tensor) -> Tensor:
    logits = logits.double()
    return (logits.exp() / logits.exp().sum(1, keepdim=True)).log()


def test_distance_is_the_mean_squared_difference_of_log_probabilities() -> None:
    real, fake = (torch.randn(6, 4, generator=make_generator(k)) * 3 for k in (0, 1))
    gap = log_probabilities(real) - log_probabilities(fake)
    expected = (gap * gap).sum() / 24
    torch.testing.assert_close(logit_distance(real, fake).double(), expected, rtol=1e-5, atol=0)


def test_loss_sees_properly_normalised_images() -> None:
    ctx = tiny_context()
    made = matcher(ctx, strategy="none")
    real, fake = images(1), images(2)
    spec, net = ctx.real.spec, copy.deepcopy(made.network).double()
    seen = [((x.double() + 1) / 2 - spec.mean[0]) / spec.std[0] for x in (real, fake)]
    gap = log_probabilities(net(seen[0])) - log_probabilities(net(seen[1]))
    expected = gap.square().mean()
    torch.testing.assert_close(
        distance(made, real, fake)[0].double(), expected, rtol=1e-4, atol=1e-8
    )


def test_augmentation_is_siamese() -> None:
    """Equal images stay equal, whatever is drawn; other draws see others apart otherwise."""
    made, real = matcher(tiny_context()), images(1)
    assert all(distance(made, real, real.clone())[0] == 0 for _ in range(5))
    losses = [float(distance(made, real, images(2))[0]) for _ in range(3)]
    assert len(set(losses)) == 3


@pytest.mark.parametrize("size", [2, 4, 100])
def test_gradient_is_that_of_the_loss_whatever_the_slices(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "slice_for", lambda _: size)
    made, real, fake = matcher(tiny_context()), images(1), images(2)
    spec, draws = tiny_context().real.spec, tiny_context().generator("siamese-augmentation")
    augmentation = DSA.for_dataset(spec, "color_crop_cutout", mode="all")
    draw = augmentation.draw(len(real), spec.shape, draws, shared=True)
    seen = fake.clone().requires_grad_()
    expected = logit_distance(made.loss.logits(real, draw), made.loss.logits(seen, draw))
    loss, gradient = distance(made, real, fake)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, seen)[0])
    assert gradient.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in made.network.parameters())


@pytest.mark.parametrize("net", NETS)
def test_training_is_sgd_on_real_batches(net: str) -> None:
    """Two steps against weights updated by hand: momentum 0.9, weight decay 5e-4."""
    ctx = tiny_context()
    made = matcher(ctx, (net,), strategy="cutout", lr=0.1)
    network = copy.deepcopy(made.network)
    twin = make_generator(0)
    twin.set_state(ctx.generator("matcher-order").get_state())
    order = torch.randperm(len(ctx.real), generator=twin)
    velocity = [torch.zeros_like(w) for w in network.parameters()]
    for chosen in (order[:6], order[6:12]):
        loss = F.cross_entropy(network(ctx.real.gather(chosen)), ctx.real.labels[chosen])
        weights = list(network.parameters())
        gradients = torch.autograd.grad(loss, weights)
        for weight, v, gradient in zip(weights, velocity, gradients, strict=True):
            v.mul_(0.9).add_(gradient + 5e-4 * weight.detach())
            weight.data.sub_(0.1 * v)
    made.train()
    for expected, actual in zip(network.parameters(), made.network.parameters(), strict=True):
        torch.testing.assert_close(actual, expected)


def test_training_takes_at_most_an_epoch() -> None:
    made = matcher(tiny_context(), batch=10, train_steps=16)
    made.train()
    assert made.state_dict()["sgd"]
    steps = []
    made.optimiser.register_step_post_hook(lambda *_: steps.append(1))
    made.train()
    assert len(steps) == 3


@pytest.mark.parametrize("net", NETS)
def test_no_training_steps_leave_the_network_as_it_was(net: str) -> None:
    made = matcher(tiny_context(), (net,), train_steps=0)
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    made.train()
    assert all(torch.equal(before[n], value) for n, value in made.network.state_dict().items())


def test_networks_of_the_pool_take_turns() -> None:
    made = matcher(tiny_context(), NETS)
    seen = set()
    for _ in range(12):
        made.renew()
        seen.add(made.state_dict()["arch"])
    assert seen == set(NETS)


@pytest.mark.parametrize("net", NETS)
def test_state_goes_on_where_it_was(net: str) -> None:
    ctx, other = tiny_context(), tiny_context()
    made = matcher(ctx, (net,))
    made.train()
    again = LogitMatcher(other, (net,), "color_crop_cutout", batch=6, train_steps=2, lr=0.01)
    again.load_state_dict(copy.deepcopy(made.state_dict()))
    other.load_state_dict(ctx.state_dict())
    for each in (made, again):
        each.train()
    assert torch.equal(
        distance(made, images(1), images(2))[0], distance(again, images(1), images(2))[0]
    )
    for each in (made, again):
        each.renew()
    weights = zip(made.network.parameters(), again.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)


def test_unknown_names_are_refused_at_once() -> None:
    with pytest.raises(BenchError, match="unknown architecture 'convnot'"):
        matcher(tiny_context(), ("convnot",))
    with pytest.raises(BenchError, match="unknown augmentation 'blur'"):
        matcher(tiny_context(), strategy="blur")


def test_a_network_of_the_pool_trains_in_the_order_that_is_faster(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ("convnet2(width=6)",)  # a network that no other test has
    take_reasons()
    first = matcher(tiny_context(), pool)
    monkeypatch.setattr(passes, "recorder_for", lambda _: ChannelsLast())
    last = matcher(tiny_context(), pool)
    assert take_reasons()[f"memory order of {pool[0]} of the pool"].startswith("channels last")
    for made in (first, last):
        made.train()
    for mine, other in zip(last.network.parameters(), first.network.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert any(w.dim() == 4 and not w.is_contiguous() for w in last.network.parameters()), (
        "some have another order"
    )
    assert distance(last, images(1), images(2))[1].shape == (5, 1, 8, 8)
