"""Counted work: what torch's own counter counts, without computing it."""

from __future__ import annotations

import copy
import resource

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.grid.stand_ins import LARGE
from bench.grid.step_work import counted
from bench.grid.work import Work
from bench.networks.cpu_kernels import computing, without_kernels


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.Flatten(),
        nn.LazyLinear(10),
    )  # fmt: skip


def test_operations_are_those_of_the_flop_counter() -> None:
    net, images = network(), torch.randn(64, 3, 16, 16)
    net(images)
    with FlopCounterMode(display=False) as counter:
        net(images).square().sum().backward()
    with without_kernels(), counted() as work:
        net(images).square().sum().backward()
    assert sum(work.flops.values()) == counter.get_total_flops()
    assert set(work.flops) == {"conv float32", "matmul float32"}


def test_a_precision_is_counted_as_its_own() -> None:
    net, images = network(), torch.randn(64, 3, 16, 16)
    with without_kernels(), counted() as work, computing(torch.device("cpu"), "bf16"):
        net(images)
    assert set(work.flops) == {"conv bfloat16", "matmul bfloat16"}


def test_large_work_takes_neither_time_nor_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with counted() as work:
        a = torch.randn(100_000, 100_000)
        b = torch.relu(a @ a)
        b += a
    assert work.flops == {"matmul float32": 2e15}
    assert work.bytes["float32"] > 4 * 4e10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2e6  # kilobytes


def test_small_tensors_and_labels_are_real() -> None:
    with counted():
        labels = torch.arange(10).repeat_interleave(5_000)
        assert int((labels == 3).sum()) == 5_000
        assert torch.ones(10).sum().item() == 10
        assert torch.nonzero(labels == 9)[0].item() == 45_000


def test_stand_ins_are_finite_and_stay_zero() -> None:
    with counted():
        large = torch.randn(3_000, 3_000)
        assert bool(large.isfinite().all())
        assert not bool(large.isnan().any())
        large[0, :10].fill_(float("nan"))
        again = torch.randn(3_000, 3_000)
    assert float(again[0, :10].abs().sum()) == 0


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="no"), counted():
        raise RuntimeError("no")
    assert torch.get_num_threads() == before


def test_work_adds_up() -> None:
    total = Work()
    total.add(Work({"conv float32": 2.0}, {"float32": 3.0}, 4.0), 10)
    total.add(Work({"matmul float32": 1.0}, {"float32": 1.0}, 1.0))
    assert total == Work({"conv float32": 20.0, "matmul float32": 1.0}, {"float32": 31.0}, 41.0)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [3136, LARGE - 1])
def test_the_copy_of_a_real_tensor_is_real(kind: torch.dtype, count: int) -> None:
    """Else a generator's copy held whatever was in memory, now and then NaN, which is refused."""
    values = torch.arange(count, dtype=kind)
    with counted():
        copied = copy.deepcopy(values)
    assert torch.equal(copied, values)


def test_operations_in_inference_mode_are_those_of_the_flop_counter() -> None:
    net, images = network(), torch.randn(64, 3, 16, 16)
    net(images)
    with FlopCounterMode(display=False) as counter:
        net(images)
    with without_kernels(), counted() as work, torch.inference_mode():
        net(images)
    assert sum(work.flops.values()) == counter.get_total_flops()
