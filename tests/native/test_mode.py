"""Networks run on the kernels within the block, and only there."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from bench.architecture import build_network
from bench.datasets.spec import DatasetSpec
from bench.native import block, build, winograd
from bench.native.mode import fast_operations

CPU = torch.device("cpu")
needs_kernels = pytest.mark.skipif(
    build.library().kernels is None, reason=f"no compiled kernels: {build.library().reason}"
)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that were called."""
    calls: list[str] = []

    def noting(module: object, name: str) -> None:
        original = getattr(module, name)

        def noted(*args: object) -> Tensor:
            calls.append(name)
            result: Tensor = original(*args)
            return result

        monkeypatch.setattr(module, name, noted)

    noting(winograd, "convolve")
    noting(block, "block")
    return calls


def convnet() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return build_network(
        "convnet3(width=32)", DatasetSpec("tiny", 10, 3, 32, 32, (0.5,) * 3, (0.5,) * 3, flip=True)
    ), torch.randn(4, 3, 32, 32)


@needs_kernels
def test_a_convnet_runs_on_kernels(used: list[str]) -> None:
    network, images = convnet()
    plain = network(images)
    assert used == []
    with fast_operations(CPU):
        fast = network(images)
    assert used == ["block", "convolve", "block", "convolve", "block"]
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    network(images)
    assert len(used) == 5


@needs_kernels
def test_bf16_keeps_pytorchs_convolutions(used: list[str]) -> None:
    network, images = convnet()
    with torch.autocast("cpu", torch.bfloat16), fast_operations(CPU):
        assert network(images).dtype == torch.bfloat16
    assert used == ["block"] * 3


@needs_kernels
def test_a_hook_on_a_layer_still_sees_its_output(used: list[str]) -> None:
    network, images = convnet()
    seen: list[tuple[int, ...]] = []
    relu = next(m for m in network.modules() if isinstance(m, nn.ReLU))
    relu.register_forward_hook(lambda _m, _x, y: seen.append(tuple(y.shape)))
    with fast_operations(CPU):
        network(images)
    assert seen == [(4, 32, 32, 32)]
    assert used.count("block") == 2


@needs_kernels
def test_another_thread_is_left_alone(used: list[str]) -> None:
    network, images = convnet()
    with fast_operations(CPU):
        thread = threading.Thread(target=network, args=(images,))
        thread.start()
        thread.join()
    assert used == []


@needs_kernels
def test_strides_groups_and_double_precision_stay_with_pytorch(used: list[str]) -> None:
    x, w = torch.randn(4, 32, 16, 16), torch.randn(32, 32, 3, 3)
    with fast_operations(CPU):
        torch.conv2d(x, w, None, (2, 2), (1, 1))
        torch.conv2d(x, w[:, :16], None, (1, 1), (1, 1), (1, 1), 2)
        torch.conv2d(x, w, None, (1, 1), (2, 2), (2, 2))
        torch.conv2d(x.double(), w.double(), None, (1, 1), (1, 1))
    assert used == []


def test_without_kernels_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = build.Library(None, "no C++ compiler found")
    monkeypatch.setattr("bench.native.mode.library", lambda: missing)
    network, images = convnet()
    with fast_operations(CPU):
        assert torch.equal(network(images), network(images))


def test_other_devices_do_not_ask_for_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.native.mode.library", lambda: pytest.fail("asked for kernels"))
    with fast_operations(torch.device("meta")):
        pass
