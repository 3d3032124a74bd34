"""What a method is handed: named random streams, fresh networks, shared work with its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from builders import tiny_context, tiny_real_set
from torch import Tensor, nn

from bench.datasets.spec import DatasetSpec
from bench.distillation.context import Context
from bench.networks.architecture import Architecture
from bench.registry.params import NoParams
from bench.registry.plugin_files import register
from bench.registry.registry import ARCHITECTURES
from bench.support.attempt import NoCheckpoint, SharedResult
from bench.support.errors import BenchError
from bench.support.failure_reasons import UnfitStateError
from bench.support.stopping import Stop


class Linear(Architecture):
    """One linear layer."""

    name = "testnet"
    members: Mapping[str, Mapping[str, Any]] = {"testnet1": {}}
    Params = NoParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: Any) -> nn.Module:
        if spec.height > 100:
            raise RuntimeError("too large")
        return nn.Sequential(nn.Flatten(), nn.Linear(spec.pixels, spec.num_classes))

    @classmethod
    def per_sample(cls, params: Any) -> bool:
        return True


@pytest.fixture(autouse=True)
def _testnet() -> Iterator[None]:
    register("architecture")(Linear)
    yield
    ARCHITECTURES.unregister("testnet1")


class Memory:
    """A cache that counts, and keeps by the JSON of the key as the one on disk does."""

    def __init__(self) -> None:
        self.kept: dict[str, SharedResult] = {}
        self.keys: list[Mapping[str, Any]] = []

    def get(self, key: Mapping[str, Any]) -> SharedResult | None:
        return self.kept.get(repr(sorted(key.items())))

    def put(self, key: Mapping[str, Any], result: SharedResult) -> None:
        self.keys.append(key)
        self.kept[repr(sorted(key.items()))] = result

    def making(self, key: Mapping[str, Any], stop: Stop) -> AbstractContextManager[None]:
        return nullcontext()

    def checkpoint(self, key: Mapping[str, Any]) -> NoCheckpoint:
        return NoCheckpoint()


def draws(ctx: Context, name: str, n: int = 4) -> Tensor:
    return torch.randn(n, generator=ctx.generator(name))


def weights(ctx: Context, stream: str = "network") -> Tensor:
    return ctx.network("testnet1", stream)[1].weight.detach().clone()


# --- generators --------------------------------------------------------------------------------


def test_a_name_gives_the_same_generator_every_time() -> None:
    ctx = tiny_context()
    assert ctx.generator("a") is ctx.generator("a")
    assert ctx.generator("a") is not ctx.generator("b")
    assert ctx.generator("a").device == ctx.device == torch.device("cpu")


def test_streams_are_independent_of_order_and_of_each_other() -> None:
    first, second = tiny_context(seed=3), tiny_context(seed=3)
    a, b = draws(first, "a"), draws(first, "b")
    draws(second, "b", 100)
    draws(second, "c")
    assert torch.equal(draws(second, "a"), a)
    assert torch.equal(torch.randn(4, generator=tiny_context(seed=3).generator("b")), b)
    assert not torch.equal(a, b)
    assert not torch.equal(draws(tiny_context(seed=4), "a"), a)


def test_host_streams_are_their_own() -> None:
    ctx = tiny_context()
    host = ctx.generator("a", host=True)
    assert host is ctx.generator("a", host=True)
    assert host is not ctx.generator("a")
    assert not torch.equal(torch.randn(4, generator=host), draws(ctx, "a"))
    with pytest.raises(ValueError, match="'host:a'"):
        ctx.generator("host:a")


def test_draw_int_stays_in_range_and_reaches_all_of_it() -> None:
    ctx = tiny_context()
    assert {ctx.draw_int(3, "x") for _ in range(60)} == {0, 1, 2}
    assert tiny_context().draw_int(2**62, "x") == tiny_context().draw_int(2**62, "x")


def test_generators_resume_where_they_were() -> None:
    ctx = tiny_context(seed=5)
    draws(ctx, "a")
    ctx.draw_int(10, "b")
    state = {name: value.clone() for name, value in ctx.state_dict().items()}
    expected = draws(ctx, "a"), ctx.draw_int(2**40, "b"), weights(ctx)

    fresh = tiny_context(seed=5)
    held = fresh.generator("a")  # a method may keep it from setup
    draws(fresh, "network-of-another-name")
    weights(fresh)  # not in the state: it must go back to its start
    fresh.load_state_dict(state)
    assert torch.equal(torch.randn(4, generator=held), expected[0])
    assert fresh.draw_int(2**40, "b") == expected[1]
    assert torch.equal(weights(fresh), expected[2])


def test_a_saved_state_does_not_move_with_its_generator() -> None:
    ctx = tiny_context()
    draws(ctx, "a")
    state = ctx.state_dict()
    expected = draws(ctx, "a")
    ctx.load_state_dict(state)
    assert torch.equal(draws(ctx, "a"), expected)


# --- networks ----------------------------------------------------------------------------------


def test_every_network_is_another_and_the_sequence_repeats() -> None:
    ctx, again = tiny_context(), tiny_context()
    first, second = weights(ctx), weights(ctx)
    assert not torch.equal(first, second)
    assert torch.equal(weights(again), first)
    assert torch.equal(weights(again), second)
    assert not torch.equal(weights(tiny_context(), "other"), first)


def test_networks_leave_global_state_alone() -> None:
    before = torch.get_rng_state()
    weights(tiny_context())
    with pytest.raises(RuntimeError, match="too large"):
        tiny_context(tiny_real_set(shape=(1, 101, 1))).network("testnet1")
    with pytest.raises(BenchError, match="testnet2"):
        tiny_context().network("testnet2")
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_do_not_depend_on_global_state() -> None:
    first = weights(tiny_context())
    torch.rand(7)
    assert torch.equal(weights(tiny_context()), first)


# --- shared work -------------------------------------------------------------------------------


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds pass; no others do."""
    now = [0.0]
    monkeypatch.setattr("bench.distillation.shared_work.time.perf_counter", lambda: now[0])
    return lambda seconds: now.append(now.pop() + seconds)


def maker(
    calls: list[int], work: Callable[[], None] = lambda: None
) -> Callable[[Context], dict[str, Tensor]]:
    def make(inner: Context) -> dict[str, Tensor]:
        calls.append(inner.seed)
        work()
        return {"w": torch.randn(3, generator=inner.generator("w")).requires_grad_()}

    return make


def test_shared_work_is_done_once() -> None:
    cache, calls = Memory(), []
    first = tiny_context(seed=1, cache=cache)
    second = tiny_context(seed=2, cache=cache)
    key = {"what": "embedding", "epochs": 2}
    a, b = first.shared(key, maker(calls)), second.shared(dict(reversed(key.items())), maker(calls))
    assert len(calls) == 1
    assert torch.equal(a["w"], b["w"])
    assert not a["w"].requires_grad


def test_every_cell_makes_the_same() -> None:
    key = {"what": "embedding", "sizes": (1, 2), "nested": {"b": 1, "a": [2]}}
    equal = {"nested": {"a": (2,), "b": 1}, "what": "embedding", "sizes": [1, 2]}
    made = [
        tiny_context(seed=1, cache=Memory()).shared(key, maker([])),
        tiny_context(seed=2, seed_index=5).shared(equal, maker([])),
    ]
    assert torch.equal(made[0]["w"], made[1]["w"])


def test_what_determines_shared_work() -> None:
    """Parameters of the key, the pixels and the precision; never the seed of the cell."""
    calls: list[int] = []
    contexts = [
        (tiny_context(), {"epochs": 1}),
        (tiny_context(), {"epochs": 2}),
        (tiny_context(tiny_real_set(seed=1)), {"epochs": 1}),
        (tiny_context(precision="bf16"), {"epochs": 1}),
    ]
    for ctx, key in contexts:
        ctx.shared(key, maker(calls))
    assert len(set(calls)) == 4
    tiny_context(seed=9).shared({"epochs": 1}, maker(calls))
    assert calls[4] == calls[0]


def test_the_cache_is_asked_with_everything_that_matters() -> None:
    cache = Memory()
    real = tiny_real_set()
    tiny_context(real, cache=cache).shared({"epochs": 1}, maker([]))
    assert cache.keys == [
        {"epochs": 1, "dataset": "tiny", "sha256": real.sha256, "precision": "fp32"}
    ]


def test_costs_are_summed_and_told_apart(passes: Callable[[float], None]) -> None:
    cache, calls = Memory(), []
    first, second = tiny_context(cache=cache), tiny_context(cache=cache)
    first.shared({"n": 1}, maker(calls, lambda: passes(2.0)))
    first.shared({"n": 2}, maker(calls, lambda: passes(1.0)))
    assert first.shared_seconds == 3.0
    assert first.clock.seconds == 0.0
    second.shared({"n": 1}, maker(calls))
    assert len(calls) == 2
    assert second.shared_seconds == 2.0


def test_asking_again_costs_nothing_more(passes: Callable[[float], None]) -> None:
    """Experts are asked for at every step; what they cost is counted once."""
    cache = Memory()
    maker_ctx, user = tiny_context(cache=cache), tiny_context(cache=cache)
    for ctx in (maker_ctx, maker_ctx, user, user):
        ctx.shared({"n": 1}, maker([], lambda: passes(1.0)))
    assert user.shared_seconds == maker_ctx.shared_seconds == 1.0


def test_shared_work_may_build_on_shared_work(passes: Callable[[float], None]) -> None:
    """The time of the inner work is the inner work's only."""
    cache = Memory()
    ctx = tiny_context(cache=cache)

    def outer(_: Context) -> dict[str, Tensor]:
        passes(1.0)
        return {"w": 2 * ctx.shared({"n": 1}, maker([], lambda: passes(4.0)))["w"]}

    doubled = ctx.shared({"n": 2}, outer)["w"]
    assert torch.equal(doubled, 2 * ctx.shared({"n": 1}, maker([]))["w"])
    inner, whole = (result.seconds for result in cache.kept.values())
    assert (inner, whole) == (4.0, 1.0)
    assert ctx.shared_seconds == 5.0


def test_what_shared_work_was_made_from_is_charged_with_it(passes: Callable[[float], None]) -> None:
    """Experts are made epoch by epoch: the last one alone, from a store, took all epochs."""

    def chain(ctx: Context, n: int) -> dict[str, Tensor]:
        def make(inner: Context) -> dict[str, Tensor]:
            passes(float(n))
            return {"w": chain(ctx, n - 1)["w"] + 1 if n > 1 else torch.zeros(1)}

        return ctx.shared({"n": n}, make)

    cache = Memory()
    cold, warm, late = (tiny_context(cache=cache) for _ in range(3))
    assert chain(cold, 4)["w"] == chain(warm, 4)["w"] == 3
    assert cold.shared_seconds == warm.shared_seconds == 1 + 2 + 3 + 4
    chain(warm, 2)  # a part of it: not charged twice
    assert warm.shared_seconds == 10
    chain(late, 2)
    chain(late, 4)  # from a part that was charged before
    assert late.shared_seconds == 10


def test_work_inside_the_inner_context_is_charged_too(passes: Callable[[float], None]) -> None:
    cache = Memory()

    def outer(inner: Context) -> dict[str, Tensor]:
        passes(1.0)
        return inner.shared({"n": 1}, maker([], lambda: passes(4.0)))

    for ctx in (tiny_context(cache=cache), tiny_context(cache=cache)):
        ctx.shared({"n": 2}, outer)
        assert ctx.shared_seconds == 5.0


def test_parts_that_were_charged_before_belong_to_the_whole_all_the_same(
    passes: Callable[[float], None],
) -> None:
    cache = Memory()
    maker_ctx, user = tiny_context(cache=cache), tiny_context(cache=cache)

    def outer(_: Context) -> dict[str, Tensor]:
        passes(1.0)
        return maker_ctx.shared({"n": 1}, maker([]))

    maker_ctx.shared({"n": 1}, maker([], lambda: passes(4.0)))
    for ctx in (maker_ctx, user):
        ctx.shared({"n": 2}, outer)
        assert ctx.shared_seconds == 5.0


def test_without_a_cache_work_that_is_asked_for_twice_is_charged_once(
    passes: Callable[[float], None],
) -> None:
    ctx = tiny_context()
    for _ in range(2):
        ctx.shared({"n": 1}, maker([], lambda: passes(2.0)))
    assert ctx.shared_seconds == 2.0


def test_charges_survive_a_pause(passes: Callable[[float], None]) -> None:
    """What a method asked for before it was resumed, and what it asks for when it is set up."""
    cache = Memory()
    first, second = tiny_context(cache=cache), tiny_context(cache=cache)
    for n in (1, 2):
        first.shared({"n": n}, maker([], lambda: passes(2.0)))
    second.shared({"n": 1}, maker([]))
    second.shared({"n": 3}, maker([], lambda: passes(1.0)))
    second.load_shared_costs(first.shared_costs())
    second.shared({"n": 2}, maker([]))
    assert second.shared_seconds == 5.0


@pytest.mark.parametrize("kept", [{"a": -1.0}, {"a": "x"}, {"a": float("nan")}, {"a": True}, 3])
def test_charges_that_are_none_are_refused(kept: Any) -> None:
    with pytest.raises(UnfitStateError):
        tiny_context().load_shared_costs(kept)


def test_a_failed_make_keeps_nothing() -> None:
    cache = Memory()
    ctx = tiny_context(cache=cache)
    with pytest.raises(ZeroDivisionError):
        ctx.shared({"n": 1}, lambda inner: {"w": torch.ones(1 // 0)})
    assert not cache.kept
    assert ctx.shared_seconds == 0.0


def test_a_key_that_is_no_json_is_refused_also_without_a_cache() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        tiny_context().shared({"arch": object()}, maker([]))


def test_shared_work_draws_nothing_from_the_cells_streams() -> None:
    ctx, alone = tiny_context(), tiny_context()
    ctx.shared({"n": 1}, maker([]))
    assert torch.equal(draws(ctx, "w"), draws(alone, "w"))


@pytest.mark.gpu
def test_on_a_gpu_tensors_and_generators_live_there() -> None:
    from dataclasses import replace

    real = tiny_real_set()
    ctx = tiny_context(replace(real, images=real.images.cuda(), labels=real.labels.cuda()))
    assert ctx.generator("a").device.type == "cuda"
    assert ctx.generator("a", host=True).device.type == "cpu"
    assert next(ctx.network("testnet1").parameters()).device.type == "cuda"
    state = ctx.state_dict()
    expected = torch.randn(4, generator=ctx.generator("a"), device="cuda")
    ctx.load_state_dict(state)
    assert torch.equal(torch.randn(4, generator=ctx.generator("a"), device="cuda"), expected)
    made = ctx.shared({"n": 1}, lambda inner: {"w": torch.ones(2, device=inner.device)})
    assert made["w"].device.type == "cuda"
