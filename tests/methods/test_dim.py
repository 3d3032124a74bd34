from __future__ import annotations

import copy
import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from fake_recorder import FakeRecorder
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.datasets.spec import DatasetSpec
from bench.distillation import passes
from bench.distillation.context import Context, Start
from bench.distillation.profiles import PROFILES, resolve_profile
from bench.networks.architecture import build_network
from bench.networks.step_reasons import take_reasons
from bench.registry.params import as_dict
from methods.dim.method import DiM
from methods.gan.method import ConditionalGAN

GAN: dict[str, Any] = {"width": 3, "noise_dim": 12, "batch": 8}
TINY: dict[str, Any] = {
    "gan": GAN,
    "epochs": 2,
    "batch": 8,
    "lr": 1e-3,
    "pool": ("convnet1(width=4)", "convnet2(width=4,norm=batch)"),
    "net_life": 3,
    "net_steps": 1,
}


@cache
def gan_start(**changes: Any) -> Start:
    method: Any = begin(ConditionalGAN, tiny_context(seed=1), None, None, **{**GAN, **changes})
    for i in range(2):
        method.step(i)
    return Start(method.result(), copy.deepcopy(method.byproducts()))


def started(**params: Any) -> tuple[Any, Context]:
    ctx = tiny_context(start=gan_start())
    return begin(DiM, ctx, None, None, **{**TINY, **params}), ctx


def run(method: Any, start: int, stop: int) -> None:
    for i in range(start, stop):
        method.step(i)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_paper_values() -> None:
    params = resolve_profile(DiM, "paper", {}, None)
    assert (params.epochs, params.batch, params.lr) == (100, 64, 5e-6)
    assert (params.match_weight, params.net_steps, params.net_lr) == (0.01, 16, 0.01)
    assert params.pool == ("convnet3", "resnet10", "resnet18", "resnet10_ap", "resnet18_ap")
    assert params.net_life is None


@pytest.mark.parametrize(
    ("dataset", "shape", "strided", "pooling"),
    [
        # Of models/resnet.py and resnet_ap.py, counted there: a 7x7 stem in place of 3x3 for SVHN.
        ("cifar10", (3, 32, 32), 2_797_610, 2_797_610),
        ("svhn", (3, 32, 32), 11_173_962 + 64 * 3 * 40, 11_173_962 + 64 * 3 * 40),
        ("mnist", (1, 28, 28), 11_173_962 - 64 * 2 * 9 + 64 * 40, 11_173_962 - 64 * 2 * 9),
        ("digits", (1, 16, 16), 11_173_962 - 64 * 2 * 9, 11_173_962 - 64 * 2 * 9),
    ],
)
def test_the_released_pool(
    dataset: str, shape: tuple[int, int, int], strided: int, pooling: int
) -> None:
    pool = resolve_profile(DiM, "paper", {}, None, dataset).pool
    assert [name.partition("(")[0] for name in pool] == [
        "convnet3", "resnet10", "resnet18", "resnet10_ap", "resnet18_ap",
    ]  # fmt: skip
    channels = (0.5,) * shape[0]
    spec = DatasetSpec(dataset, 10, *shape, channels, channels, flip=False)
    with torch.device("meta"):
        nets = [build_network(name, spec) for name in pool]
        assert all(net(torch.zeros(2, *shape)).shape == (2, 10) for net in nets)
    sizes = [sum(weight.numel() for weight in net.parameters()) for net in nets]
    assert (sizes[2], sizes[4]) == (strided, pooling)


def test_lite_and_smoke_keep_their_own_pools() -> None:
    """Their cells, of which there are records, are what they were."""
    for profile, nets in (("lite", 3), ("smoke", 1)):
        pools = {resolve_profile(DiM, profile, {}, None, d).pool for d in ("cifar10", "svhn", "x")}
        assert len(pools) == 1
        assert len(pools.pop()) == nets


@pytest.mark.parametrize("profile", PROFILES)
def test_its_gan_is_the_gan_of_the_same_profile(profile: str) -> None:
    """One cell serves both methods, and DiM's Params say all that determines it."""
    params = resolve_profile(DiM, profile, {}, None)
    alone = resolve_profile(ConditionalGAN, profile, {}, None)
    task = dataclasses.replace(tiny_task(DiM, tiny_real_set(), None, None), params=params)
    wanted = DiM.prerequisite(task)
    assert wanted is not None
    assert wanted.method == "gan"
    assert wanted.params == as_dict(alone, whole=True)
    assert resolve_profile(ConditionalGAN, "paper", wanted.params, None) == alone


def test_steps() -> None:
    assert started()[0].steps() == 2 * (36 // 8)
    assert started(max_steps=3)[0].steps() == 3


def test_it_continues_the_gan_with_its_optimisers() -> None:
    method, _ = started()
    assert same(method.result().tensors(), gan_start().distilled.tensors())
    assert same(method.pair.byproducts(), gan_start().byproducts)
    rates = [group["lr"] for group in method.pair.generator_adam.param_groups]
    assert rates == [1e-3]


def test_it_continues_a_discriminator_with_vectors_of_the_classes() -> None:
    changes = {"objective": "projection", "own_vectors": True}
    start = gan_start(**changes)
    method: Any = begin(
        DiM, tiny_context(start=start), None, None, **{**TINY, "gan": {**GAN, **changes}}
    )
    assert same(method.pair.byproducts(), start.byproducts)
    assert "discriminator.vectors.weight" in start.byproducts
    method.step(0)
    assert not same(method.pair.byproducts(), start.byproducts)


def test_the_mean_of_weights_goes_on_from_the_gans() -> None:
    method, _ = started(gan={**GAN, "memory": 0.9})
    start = method.result().network.state_dict()
    method.step(0)
    trained, mean = method.pair.generator.state_dict(), method.result().network.state_dict()
    for name, value in start.items():
        if value.is_floating_point():
            torch.testing.assert_close(mean[name], 0.9 * value + 0.1 * trained[name])
    assert not same(mean, start)


def test_its_start_stays_as_it_was() -> None:
    before = copy.deepcopy((gan_start().distilled.tensors(), gan_start().byproducts))
    method, _ = started()
    run(method, 0, 2)
    assert not same(method.result().tensors(), before[0])
    assert same(gan_start().distilled.tensors(), before[0])
    assert same(gan_start().byproducts, before[1])


def test_matching_loss_is_added_with_its_weight() -> None:
    none, half, one = (started(match_weight=w)[0].step(0) for w in (0.0, 0.5, 1.0))
    gan = none["generator_loss"]
    assert none["matching_loss"] == 0
    assert one["matching_loss"] > 0
    torch.testing.assert_close(2 * half["matching_loss"], one["matching_loss"])
    torch.testing.assert_close(one["generator_loss"], gan + one["matching_loss"])


def test_matching_moves_the_generator_but_not_the_discriminator() -> None:
    without, strong = started(match_weight=0.0)[0], started(match_weight=100.0)[0]
    for method in (without, strong):
        method.matcher.renew()
        real, labels = method.batches.pick(0)
        method.pair.matching_step(labels, method.matcher.extra(real, method.params.match_weight))
    a, b = without.pair, strong.pair
    assert same(a.discriminator.state_dict(), b.discriminator.state_dict())
    assert not same(dict(a.generator.named_parameters()), dict(b.generator.named_parameters()))


def test_the_generator_is_given_the_batch_and_the_weight() -> None:
    method, _ = started(match_weight=0.5)
    seen: list[Any] = []
    method.pair.matching_step = lambda *given: (seen.append(given), (1.0, 2.0))[1]
    real, labels = copy.deepcopy(method.batches).pick(0)
    losses = method.step(0)
    ((drawn, extra),) = seen
    assert torch.equal(drawn, labels)
    assert torch.equal(extra.inputs[0], real)
    assert extra.weight == 0.5
    assert (losses["generator_loss"], losses["matching_loss"]) == (1.0, 2.0)


def test_replayed_steps_are_plain_steps(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network of the pool has a recording of its own, and every step its augmentation."""

    def states() -> dict[str, Any]:
        method, _ = started(net_life=6, net_steps=1)
        losses = [method.step(i) for i in range(15)]  # read after many steps
        named = {f"{name} {i}": x for i, each in enumerate(losses) for name, x in each.items()}
        return {**method.pair.state_dict(), **method.matcher.network.state_dict(), **named}

    plain, recorder = states(), FakeRecorder()
    monkeypatch.setattr(passes, "recorder_for", lambda _: recorder)
    take_reasons()
    assert same(states(), plain)
    found = take_reasons()
    for name in ("generator while matching", "network of the pool", "penalised discriminator"):
        assert found[name].startswith("replayed"), name
    assert "generator" not in found


def test_a_network_serves_its_life_or_an_epoch() -> None:
    for life, expected in ((3, [0, 3, 6]), (None, [0, 4])):
        method, _ = started(net_life=life)
        nets = []
        for i in range(8):
            method.step(i)
            nets.append(method.matcher.network)
        assert [i for i in range(8) if i == 0 or nets[i] is not nets[i - 1]] == expected


@given(stop=st.integers(0, 8))
@settings(max_examples=3, deadline=None)
def test_resumed_at_any_step_it_ends_the_same(stop: int) -> None:
    straight, _ = started()
    run(straight, 0, 8)
    first, before = started()
    run(first, 0, stop)
    state, draws = copy.deepcopy((first.state_dict(), before.state_dict()))
    second, after = started()
    second.load_state_dict(state)
    after.load_state_dict(draws)
    run(second, stop, 8)
    assert same(straight.pair.state_dict(), second.pair.state_dict())


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    run(started()[0], 0, 1)
    assert torch.equal(before, torch.get_rng_state())


def test_identities_hold_the_gans_parameters_by_their_former_names() -> None:
    """Records of before there were groups of parameters stay valid."""
    stored = as_dict(DiM.Params())
    gan = {k.removeprefix("gan_"): v for k, v in stored.items() if k.startswith("gan_")}
    assert gan == as_dict(ConditionalGAN.Params())
    later = {"objective", "penalty_every", "discriminator_rate", "memory"}
    later |= {"class_weight", "own_vectors"}
    assert not later & set(gan), "the paper's results are stored without them"
