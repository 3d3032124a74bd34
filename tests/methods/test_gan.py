from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bench.distillation import passes
from bench.distillation.context import Context
from bench.distillation.profiles import resolve_profile
from bench.distilled.generator_set import GeneratorSet
from bench.support.seeds import make_generator
from methods.gan.method import ConditionalGAN, latent_size

TINY: dict[str, Any] = {"width": 3, "noise_dim": 12, "epochs": 2, "batch": 8}

LITE_LOSSES: dict[str, Any] = {"objective": "projection", "memory": 0.9, "penalty_every": 3}
DAY_LOSSES = {**LITE_LOSSES, "own_vectors": True}


def started(**params: Any) -> tuple[Any, Context]:
    ctx = tiny_context()
    return begin(ConditionalGAN, ctx, None, None, **{**TINY, **params}), ctx


def run(method: Any, start: int, stop: int) -> None:
    for i in range(start, stop):
        method.step(i)


def test_paper_values() -> None:
    params = ConditionalGAN.Params()
    assert (params.epochs, params.batch, params.lr) == (150, 128, 1e-4)
    assert (params.width, params.noise_dim, params.penalty_weight) == (196, 100, 10.0)
    assert params.max_steps is None
    assert params.penalty_batch is None
    assert params.decay_after == 1.0
    assert (params.objective, params.penalty_every) == ("wasserstein", 1)
    assert (params.discriminator_rate, params.memory, params.class_weight) == (1.0, 0.0, 1.0)
    assert not params.own_vectors


def test_steps_count_whole_batches_of_all_epochs() -> None:
    assert started()[0].steps() == 2 * (36 // 8)
    assert started(max_steps=5)[0].steps() == 5
    assert started(max_steps=50)[0].steps() == 8
    assert started(batch=500)[0].steps() == 2


@pytest.mark.parametrize(("classes", "entries"), [(2, 100), (10, 100), (11, 101), (100, 190)])
def test_more_classes_lengthen_the_latent_vector(classes: int, entries: int) -> None:
    assert latent_size(100, tiny_real_set(classes, 1).spec) == entries


def test_every_epoch_shows_other_images_in_another_order() -> None:
    method, ctx = started()
    picks = [method.batches.pick(i) for i in range(8)]
    orders = [torch.cat([p[0] for p in picks[k : k + 4]]).flatten(1) for k in (0, 4)]
    for order in orders:
        assert len(order.unique(dim=0)) == 32
    assert not torch.equal(*orders)
    assert torch.cat(orders).min() >= -1
    assert torch.cat(orders).max() <= 1
    first = (ctx.real.images.float() / 127.5 - 1).flatten(1)
    assert all((first == row).all(1).any() for row in orders[0])


def test_generator_step_is_adam_on_the_generator_loss() -> None:
    """The first step of Adam with beta1 = 0 is -lr times the gradient's sign."""
    method, ctx = started(lr=1e-3)
    pair = method.pair
    generator, discriminator = copy.deepcopy((pair.generator, pair.discriminator))
    labels = torch.tensor([0, 1, 2, 2, 1])
    noise = copy.deepcopy(ctx.generator("noise").get_state())
    shown = pair.generator_step(labels)
    ctx.generator("noise").set_state(noise)
    source, classes = discriminator(generator.sample(labels, ctx.generator("noise")))
    loss = -source.mean() + F.cross_entropy(classes, labels)
    torch.testing.assert_close(shown, loss.detach())
    for before, after in zip(generator.parameters(), pair.generator.parameters(), strict=True):
        (gradient,) = torch.autograd.grad(loss, before, retain_graph=True)
        clear = gradient.abs() > 1e-4
        moved = (after - before)[clear]
        torch.testing.assert_close(moved, -1e-3 * gradient.sign()[clear], rtol=1e-3, atol=1e-8)
    for before, after in zip(
        discriminator.parameters(), pair.discriminator.parameters(), strict=True
    ):
        assert torch.equal(before, after)
        assert after.requires_grad
        assert after.grad is None


def test_discriminator_step_leaves_the_generators_weights() -> None:
    method, _ = started()
    pair = method.pair
    before = copy.deepcopy(list(pair.generator.parameters()))
    critic = copy.deepcopy(list(pair.discriminator.body.parameters()))
    loss = pair.discriminator_step(*method.batches.pick(0))
    assert loss.isfinite()
    assert all(map(torch.equal, before, pair.generator.parameters()))
    assert not any(map(torch.equal, critic, pair.discriminator.body.parameters()))


@pytest.mark.parametrize("size", [1, 3, 4])
def test_slices_change_the_steps_by_rounding_only(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_steps() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        pair = (method := started(penalty_batch=5)[0]).pair
        real, labels = method.batches.pick(0)
        losses = [pair.generator_step(labels), pair.discriminator_step(real, labels)]
        found = [pair.discriminator_step(real, labels), *losses]
        return found, list(pair.state_dict().values())

    whole = two_steps()
    monkeypatch.setattr(passes, "slice_for", lambda _: 2 * size)
    sliced = two_steps()
    torch.testing.assert_close(sliced[0], whole[0], rtol=1e-4, atol=1e-5)
    # Adam's first steps follow the sign of the gradient, which rounding turns where it is zero.
    ours, theirs = (torch.cat([t.flatten().float() for t in run[1]]) for run in (sliced, whole))
    assert torch.isclose(ours, theirs, rtol=1e-3, atol=1e-5).float().mean() > 0.98


def test_penalty_may_be_measured_on_fewer_images() -> None:
    """It is the same loss; on none but the first images, whatever the others are."""
    losses = {}
    for few in (None, 8, 2):
        method, _ = started(penalty_batch=few)
        real, labels = method.batches.pick(0)
        losses[few] = method.pair.discriminator_step(real, labels)
    assert torch.equal(losses[None], losses[8])
    assert not torch.equal(losses[None], losses[2])


@pytest.mark.parametrize(
    ("after", "rates"),
    [
        (1.0, [1.0] * 8),
        (0.5, [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
        (0.0, [1 - k / 8 for k in range(8)]),
    ],
)
def test_learning_rate_stays_then_falls(after: float, rates: list[float]) -> None:
    method, _ = started(lr=0.01, decay_after=after)
    seen = []
    for i in range(8):
        method.step(i)
        optimisers = (method.pair.generator_adam, method.pair.discriminator_adam)
        seen += [[group["lr"] for group in each.param_groups] for each in optimisers]
    assert seen == [[pytest.approx(0.01 * rate)] for rate in rates for _ in range(2)]


@given(stop=st.integers(0, 8), changes=st.sampled_from(({}, LITE_LOSSES, DAY_LOSSES)))
@settings(max_examples=5, deadline=None)
def test_resumed_at_any_step_it_ends_the_same(stop: int, changes: dict[str, Any]) -> None:
    straight, _ = started(**changes)
    run(straight, 0, 8)
    first, before = started(**changes)
    run(first, 0, stop)
    state, draws = copy.deepcopy((first.state_dict(), before.state_dict()))
    second, after = started(**changes)
    second.load_state_dict(state)
    after.load_state_dict(draws)
    run(second, stop, 8)
    expected, actual = straight.pair.state_dict(), second.pair.state_dict()
    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[k], actual[k]) for k in expected)


def test_loading_copies() -> None:
    """A state that was loaded stays as it was while training goes on."""
    method, _ = started()
    run(method, 0, 2)
    state = copy.deepcopy(method.state_dict())
    kept = copy.deepcopy(state)
    method.load_state_dict(state)
    run(method, 2, 4)
    assert all(torch.equal(state["pair"][k], kept["pair"][k]) for k in kept["pair"])


def test_result_is_a_copy_that_loads() -> None:
    method, _ = started()
    run(method, 0, 2)
    made = method.result()
    assert isinstance(made, GeneratorSet)
    assert not made.network.training
    assert made.network.config == {"width": 3, "noise_dim": 12}
    loaded = GeneratorSet.from_parts(made.spec, made.tensors(), made.config(), {})
    labels = torch.arange(3)
    drawn = made.draw(labels, make_generator(2))
    assert torch.equal(drawn, loaded.draw(labels, make_generator(2)))
    run(method, 2, 4)
    assert torch.equal(drawn, made.draw(labels, make_generator(2)))
    assert made.storage_bytes == sum(
        t.numel() * t.element_size() for t in method.pair.generator.state_dict().values()
    )


def test_byproducts_are_all_but_the_generator() -> None:
    method, _ = started()
    empty = method.byproducts()
    assert {k.split(".")[0] for k in empty} == {"discriminator"}
    run(method, 0, 1)
    owners = {k.split(".")[0] for k in method.byproducts()}
    assert owners == {"discriminator", "generator_adam", "discriminator_adam"}


@pytest.mark.parametrize("profile", ["lite", "smoke"])
def test_profiles_change_known_parameters_only(profile: str) -> None:
    overrides = ConditionalGAN.profiles[profile].overrides
    params = tiny_task(ConditionalGAN, tiny_real_set(), None, None, **overrides).params
    paper = vars(ConditionalGAN.Params())
    assert {name for name in paper if getattr(params, name) != paper[name]} == set(overrides)


@pytest.mark.parametrize(
    ("dataset", "wanted"),
    [
        ("mnist", (3000, 3e-4, 0.998)),
        ("svhn", (3000, 3e-4, 0.998)),
        ("cifar10", (5000, 2e-4, 0.999)),
        ("cifar100", (5000, 2e-4, 0.999)),
        ("mine", (5000, 2e-4, 0.999)),
    ],
)
def test_lite_trains_longer_where_a_class_has_many_shapes(
    dataset: str, wanted: tuple[int, float, float]
) -> None:
    lite = resolve_profile(ConditionalGAN, "lite", {}, None, dataset)
    assert (lite.max_steps, lite.lr, lite.memory) == wanted


def test_smoke_has_the_papers_losses() -> None:
    smoke = ConditionalGAN.profiles["smoke"].overrides
    losses = {"objective", "penalty_every", "penalty_weight", "class_weight", "own_vectors"}
    assert not (losses | {"discriminator_rate", "memory"}) & set(smoke)
