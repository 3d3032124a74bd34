"""A network beside the pixels: kept until it is dropped, and restored without a draw."""

from __future__ import annotations

import torch
from builders import tiny_context

from bench.distillation.context import Context
from bench.plugin import RunningNetwork

ARCH = "convnet1(width=4)"


def running(ctx: Context) -> RunningNetwork[torch.nn.Module]:
    return RunningNetwork(lambda stream: ctx.network(ARCH, stream))


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_one_network_until_it_is_dropped() -> None:
    network = running(tiny_context())
    assert not network.exists
    first = network.get()
    assert network.get() is first
    network.drop()
    assert not network.exists
    assert not same(network.get(), first)


def test_restoring_leaves_the_stream_of_new_networks_where_it_is() -> None:
    ctx, other = tiny_context(), tiny_context()
    before, after = running(ctx), running(other)
    with torch.no_grad():
        next(before.get().parameters()).add_(1)  # it has been trained
    after.load_state_dict(before.state_dict())
    other.load_state_dict({k: v.clone() for k, v in ctx.state_dict().items()})
    assert same(before.get(), after.get())
    before.drop()
    after.drop()
    assert same(before.get(), after.get())


def test_a_dropped_network_is_restored_as_none() -> None:
    network = running(tiny_context())
    network.get()
    network.load_state_dict({"network": None})
    assert not network.exists
