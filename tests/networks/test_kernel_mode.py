"""Networks run on the kernels within the block, and only there."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network
from bench.networks.cpu_kernels import block, library, mode, ordinary, shallow, winograd
from bench.networks.cpu_kernels.mode import computing, fast_operations, idle_kernels

CPU = torch.device("cpu")
needs_kernels = pytest.mark.skipif(
    library.library().kernels is None, reason=f"no compiled kernels: {library.library().reason}"
)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that were called."""
    calls: list[str] = []

    def noting(module: object, name: str, note: str) -> None:
        original = getattr(module, name)

        def noted(*args: object) -> Tensor:
            calls.append(note)
            result: Tensor = original(*args)
            return result

        monkeypatch.setattr(module, name, noted)

    noting(winograd.Winograd, "outputs", "winograd")
    noting(shallow.Shallow, "outputs", "shallow")
    noting(ordinary.Ordinary, "outputs", "ordinary")
    noting(block, "block", "block")
    return calls


def convnet() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return build_network(
        "convnet3(width=96)", DatasetSpec("tiny", 10, 3, 32, 32, (0.5,) * 3, (0.5,) * 3, flip=True)
    ), torch.randn(20, 3, 32, 32)


def test_work_is_counted_on_idle_kernels_before_there_are_any(
    monkeypatch: pytest.MonkeyPatch, used: list[str]
) -> None:
    def compiling() -> library.Library:
        raise AssertionError("nothing waits for the compiler")

    monkeypatch.setattr(mode, "library", compiling)
    monkeypatch.setattr(mode, "kernels_are_expected", lambda: True)
    network, images = convnet()
    with idle_kernels(), fast_operations(CPU):
        network(images)
    assert used == ["shallow", "block", "winograd", "block", "winograd", "block"]
    monkeypatch.setattr(mode, "kernels_are_expected", lambda: False)
    used.clear()
    with idle_kernels(), fast_operations(CPU):
        network(images)
    assert used == []


@needs_kernels
def test_a_convnet_runs_on_kernels(used: list[str]) -> None:
    network, images = convnet()
    plain = network(images)
    assert used == []
    with fast_operations(CPU):
        fast = network(images)
    assert used == ["shallow", "block", "winograd", "block", "winograd", "block"]
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    network(images)
    assert len(used) == 6


@needs_kernels
def test_a_convnet_runs_on_kernels_in_bf16(used: list[str]) -> None:
    network, images = convnet()
    plain = network(images)
    with computing(CPU, "bf16"):
        fast = network(images)
    assert used == ["shallow", "block", "winograd", "block", "winograd", "block"]
    assert fast.dtype == torch.bfloat16
    torch.testing.assert_close(fast.float(), plain, rtol=0.05, atol=0.05)
    loss = torch.nn.functional.cross_entropy(fast.float(), torch.arange(20) % 10)
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    assert {g.dtype for g in gradients} == {torch.float32}


@needs_kernels
def test_other_dtypes_of_autocast_stay_with_pytorch(used: list[str]) -> None:
    x, w = torch.randn(20, 96, 16, 16), torch.randn(96, 96, 3, 3)
    with torch.autocast("cpu", torch.float16), fast_operations(CPU):
        torch.conv2d(x, w, None, (1, 1), (1, 1))
    with computing(CPU, "bf16"):
        torch.conv2d(x, w.bfloat16(), None, (1, 1), (1, 1))  # weights that are not float32
    assert used == []


@needs_kernels
def test_a_hook_on_a_layer_still_sees_its_output(used: list[str]) -> None:
    network, images = convnet()
    seen: list[tuple[int, ...]] = []
    relu = next(m for m in network.modules() if isinstance(m, nn.ReLU))
    relu.register_forward_hook(lambda _m, _x, y: seen.append(tuple(y.shape)))
    with fast_operations(CPU):
        network(images)
    assert seen == [(20, 96, 32, 32)]
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
def test_strides_and_dilations_are_pytorchs_convolutions(used: list[str]) -> None:
    x, w = torch.randn(20, 96, 16, 16), torch.randn(96, 96, 3, 3)
    with fast_operations(CPU):
        for more in ((2, 2), (1, 1)), ((1, 1), (2, 2), (2, 2)):
            assert torch.conv2d(x, w, None, *more).isfinite().all()
    assert used == ["ordinary"] * 2


@needs_kernels
def test_groups_names_batches_of_none_and_double_precision_stay_with_pytorch(
    used: list[str],
) -> None:
    x, w = torch.randn(20, 96, 16, 16), torch.randn(96, 96, 3, 3)
    with fast_operations(CPU):
        torch.conv2d(x, w[:, :48], None, (1, 1), (1, 1), (1, 1), 2)
        torch.conv2d(x, w, None, (1, 1), "same")
        torch.conv2d(x, w, None, 1, 1)
        torch.conv2d(x[0], w, None, (1, 1), (1, 1))
        torch.conv2d(x.double(), w.double(), None, (1, 1), (1, 1))
    assert used == []


def test_without_kernels_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = library.Library(None, "no C++ compiler found")
    monkeypatch.setattr("bench.networks.cpu_kernels.mode.library", lambda: missing)
    network, images = convnet()
    with fast_operations(CPU):
        assert torch.equal(network(images), network(images))


def test_other_devices_do_not_ask_for_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bench.networks.cpu_kernels.mode.library", lambda: pytest.fail("asked for kernels")
    )
    with fast_operations(torch.device("meta")):
        pass
