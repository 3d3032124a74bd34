"""Steps are replayed where that is faster, called where it is not, and the reason is noted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from fake_recorder import FakeRecorder
from torch import Tensor, nn

from bench.networks.replay import Recorder, Replayed, recorder_for
from bench.networks.step_reasons import take_reasons

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _no_reasons() -> Iterator[None]:
    take_reasons()
    yield
    take_reasons()


class Counting(nn.Module):
    """A network with running statistics and a gradient."""

    def __init__(self, device: torch.device = CPU) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(device)
        for i, weight in enumerate(self.layers.parameters()):
            weight.data = torch.linspace(-0.4, 0.5 + i / 10, weight.numel(), device=device).view_as(
                weight
            )
        self.calls = 0

    def step(self, images: Tensor) -> tuple[Tensor, ...]:
        self.calls += 1
        loss = self.layers(images).square().mean()
        return (loss.detach(), *torch.autograd.grad(loss, list(self.layers.parameters())))


def batches(count: int, size: int = 5, device: torch.device = CPU) -> list[Tensor]:
    generator = torch.Generator().manual_seed(size)
    return [torch.randn(size, 3, generator=generator).to(device) for _ in range(count)]


def trained(recorder: Recorder | None, device: torch.device = CPU, odd: int = 2) -> list[Tensor]:
    """Return losses, weights and running statistics of gradient descent in batches of two sizes."""
    network = Counting(device)
    step = Replayed("toy", network.step, network.buffers, recorder)
    losses = []
    for images in [*batches(8, 5, device), *batches(odd, 4, device), *batches(2, 5, device)]:
        loss, *gradient = step(images)
        losses.append(loss.clone())
        with torch.no_grad():
            for weight, slope in zip(network.parameters(), gradient, strict=True):
                weight -= 0.01 * slope
    return [torch.stack(losses), *network.state_dict().values()]


def test_off_cuda_nothing_is_recorded() -> None:
    assert recorder_for(CPU) is None
    assert recorder_for(torch.device("meta")) is None
    network = Counting()
    step = Replayed("toy", network.step, network.buffers, None)
    for images in batches(9):
        step(images)
    assert network.calls == 9
    assert take_reasons() == {}


@pytest.mark.parametrize("odd", [2, 6])
@pytest.mark.parametrize("faster", [True, False])
def test_whatever_is_chosen_the_numbers_are_those_of_plain_calls(faster: bool, odd: int) -> None:
    """Trials leave running statistics alone, and every shape has a recording of its own."""
    recorder = FakeRecorder(1.0, 2.0 if faster else 1.0)
    ours, plain = trained(recorder, odd=odd), trained(None, odd=odd)
    assert plain[0].isfinite().all()
    assert all(map(torch.equal, ours, plain))
    assert recorder.recorded == (2 if odd > 3 else 1)


def test_a_shape_is_recorded_after_some_calls_and_then_replayed() -> None:
    network, recorder = Counting(), FakeRecorder()
    step = Replayed("toy", network.step, network.buffers, recorder)
    for images in batches(3):
        step(images)
    assert recorder.recorded == 0
    assert take_reasons() == {}
    first, *_ = step(batches(1)[0])
    assert recorder.recorded == 1
    trials = recorder.replays
    again, *_ = step(batches(2)[1])
    assert recorder.replays == trials + 1
    assert again is first, "the outputs are those of the recording"
    assert take_reasons() == {"toy": "replayed: 1000.00 ms by replay, 2000.00 by call"}
    assert take_reasons() == {}, "reasons are taken once"


def test_what_is_hardly_faster_is_called() -> None:
    recorder = FakeRecorder(0.95, 1.0)
    trained(recorder)
    assert take_reasons()["toy"].startswith("called: 950.00 ms by replay, 1000.00")
    assert recorder.recorded == 1, "it is tried once"


def test_what_cannot_be_recorded_is_called_and_says_why() -> None:
    recorder = FakeRecorder(error=RuntimeError("operation not permitted\nwhen capturing"))
    assert all(map(torch.equal, trained(recorder), trained(None)))
    assert take_reasons() == {"toy": "called: operation not permitted"}


def test_another_error_is_not_hidden() -> None:
    class Broken(FakeRecorder):
        def seconds(self, run: object) -> float:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trained(Broken())


@pytest.mark.gpu
def test_a_cuda_graph_finds_the_same_numbers() -> None:
    device = torch.device("cuda")
    recorder = recorder_for(device)
    assert recorder is not None
    for ours, plain in zip(trained(recorder, device), trained(None, device), strict=True):
        torch.testing.assert_close(ours, plain)
    assert "ms by replay" in take_reasons()["toy"]
