"""The precisions: what a device can compute in, and how a GPU rounds float32 products."""

from __future__ import annotations

import pytest
import torch

from bench.networks.precision import PRECISIONS, check_precision, float32_mode
from bench.support.errors import BenchError

CUDA = torch.device("cuda")


def rounding() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_gpu_rounds_products_only_where_the_precision_says_so(precision: str) -> None:
    before = rounding()
    with float32_mode(CUDA, precision):
        assert rounding() == (precision == "tf32",) * 2
    assert rounding() == before


def test_the_setting_is_restored_after_an_error() -> None:
    before = rounding()
    with pytest.raises(ZeroDivisionError), float32_mode(CUDA, "tf32"):
        raise ZeroDivisionError
    assert rounding() == before


def test_nothing_changes_on_a_cpu() -> None:
    before = rounding()
    with float32_mode(torch.device("cpu"), "fp32"):
        assert rounding() == before


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_tf32_is_refused_on_other_devices(device: str) -> None:
    with pytest.raises(BenchError, match=f"device '{device}' computes in fp32 or bf16"):
        check_precision("tf32", device)


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(BenchError, match="unknown precision 'fp8'"):
        check_precision("fp8", "cuda")


@pytest.mark.gpu
def test_a_product_in_fp32_is_not_rounded() -> None:
    maps = torch.rand(8, 64, 16, 16, dtype=torch.float64)
    weight = torch.rand(64, 64, 3, 3, dtype=torch.float64)
    exact = torch.nn.functional.conv2d(maps, weight)
    off = {}
    for precision in ("fp32", "tf32"):
        with float32_mode(CUDA, precision):
            mine = torch.nn.functional.conv2d(maps.float().cuda(), weight.float().cuda())
        off[precision] = float(((mine.cpu() - exact) / exact).abs().max())
    assert off["fp32"] < 1e-5
