"""A network gets the order in memory that was measured to be faster, and the record says why."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_recorder import ChannelsLast
from torch import Tensor, nn

from bench.networks import memory_order
from bench.networks.replay import Recorder, recorder_for
from bench.networks.step_reasons import take_reasons

BATCH = (4, 3, 8, 8)


@pytest.fixture(autouse=True)
def _nothing_known(own_cache: Path) -> Iterator[None]:
    forget()
    take_reasons()
    yield
    forget()
    take_reasons()


def forget() -> None:
    """Forget what this process knows, as another one would not know it."""
    importlib.reload(memory_order)


class Small(nn.Module):
    """A network with running statistics, and random numbers in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Dropout(), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


class Flat(Small):
    """A network that works with channels first only."""

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.layers(x)
        return maps.view(-1)


def suited(network: nn.Module, recorder: Recorder | None) -> bool:
    """Return whether the network has channels last after it was suited."""
    memory_order.suit_memory_order("it", network, BATCH, "fp32", recorder)
    (weight, *_) = [weight for weight in network.parameters() if weight.dim() == 4]
    return weight.is_contiguous(memory_format=torch.channels_last)


def test_off_cuda_nothing_is_measured() -> None:
    assert not suited(Small(), recorder_for(torch.device("cpu")))
    assert take_reasons() == {}


def test_what_is_faster_is_taken_and_its_values_stay() -> None:
    network, recorder = Small(), ChannelsLast()
    objects, values = (
        list(network.parameters()),
        {name: value.clone() for name, value in network.state_dict().items()},
    )
    before = torch.get_rng_state()
    assert suited(network, recorder)
    assert all(mine is theirs for mine, theirs in zip(network.parameters(), objects, strict=True))
    assert all(torch.equal(value, values[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before)
    expected = "channels last: 500.00 ms a step, 1000.00 channels first"
    assert take_reasons() == {"memory order of it": expected}


def test_what_is_hardly_faster_is_not_taken() -> None:
    assert not suited(Small(), ChannelsLast(0.95))
    expected = "channels first: 1000.00 ms a step, 950.00 channels last"
    assert take_reasons() == {"memory order of it": expected}


def test_steps_that_cannot_be_recorded_are_timed_by_calls() -> None:
    assert suited(Small(), ChannelsLast(error=RuntimeError("not permitted when capturing")))


def test_a_network_that_needs_channels_first_keeps_them_and_says_why() -> None:
    assert not suited(Flat(), ChannelsLast())
    assert take_reasons()["memory order of it"].startswith("channels first: view size is not")


def test_a_network_without_convolutions_has_no_order() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    memory_order.suit_memory_order("it", network, BATCH, "fp32", ChannelsLast())
    assert take_reasons() == {}


@pytest.mark.parametrize("known", ["in this process", "on this machine"])
def test_a_choice_is_made_once(known: str) -> None:
    """Other times later must not change the last digits of a cell that is computed again."""
    assert suited(Small(), ChannelsLast())
    reasons = take_reasons()
    if known == "on this machine":
        forget()
    later = ChannelsLast(2.0)
    assert suited(Small(), later)
    assert later.timed == 0
    assert take_reasons() == reasons


def test_another_batch_or_network_is_measured_by_itself() -> None:
    assert suited(Small(), ChannelsLast())
    assert not suited(nn.Sequential(nn.Conv2d(3, 4, 3)), ChannelsLast(2.0))
    network, smaller = Small(), ChannelsLast(2.0)
    memory_order.suit_memory_order("it", network, (2, 3, 8, 8), "fp32", smaller)
    assert smaller.timed == 10
    memory_order.suit_memory_order("it", network, BATCH, "bf16", smaller)
    assert smaller.timed == 20


def test_deterministic_runs_measure_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    recorder = ChannelsLast()
    assert not suited(Small(), recorder)
    assert recorder.timed == 0
    assert "--deterministic" in take_reasons()["memory order of it"]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_gpu_measures_both_orders(precision: str) -> None:
    device = torch.device("cuda")
    network = Small().to(device)
    memory_order.suit_memory_order("it", network, BATCH, precision, recorder_for(device))
    assert take_reasons()["memory order of it"].count(" ms a step") == 1
