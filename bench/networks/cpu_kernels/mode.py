"""Puts the kernels in the place of PyTorch's operations, within a ``with`` block of one thread.

Architectures stay plain PyTorch. Within the block, a kernel computes each convolution or
``norm_relu_pool`` that it computes faster, and PyTorch computes the rest; the numbers agree to
rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.networks.cpu_kernels import block, ordinary, shallow, winograd
from bench.networks.cpu_kernels.build import library
from bench.networks.cpu_kernels.convolution import Maps, convolve
from bench.networks.fused_operations import norm_relu_pool


def fast_operations(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which networks on ``device`` run on the fastest operations there are.

    Not for code under :func:`torch.func.vmap`, which the kernels cannot be batched by. Does nothing
    on another device than a CPU, or without a compiler.
    """
    kernels = library().kernels if device.type == "cpu" else None
    return nullcontext() if kernels is None else _FastOperations(kernels)


@contextmanager
def computing(device: torch.device, precision: str) -> Iterator[None]:
    """Compute what is within the block in a precision, on the fastest operations there are.

    Args:
        device: of networks and images.
        precision: ``fp32``, or ``bf16`` for autocast with float32 weights.
    """
    with (
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
        fast_operations(device),
    ):
        yield


class _FastOperations(TorchFunctionMode):
    def __init__(self, kernels: Any) -> None:
        super().__init__()
        self._kernels = kernels

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.conv2d and not kwargs:
            return self._convolution(*args)
        if func is norm_relu_pool and block.fits(args[0]):
            return block.block(self._kernels, *args)
        return func(*args, **kwargs)

    def _convolution(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = (1, 1),
        padding: Any = (0, 0),
        dilation: Any = (1, 1),
        groups: int = 1,
    ) -> Tensor:
        dtype = _computed_in(x)
        known = dtype in (torch.float32, torch.bfloat16) and weight.dtype == torch.float32
        pairs = all(isinstance(each, tuple) for each in (stride, padding, dilation))
        if not (known and pairs and groups == 1 and x.dim() == 4):
            return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
        maps: Maps | None = None
        if stride == dilation == (1, 1) and winograd.fits(x, weight, padding, dtype):
            maps = winograd.Winograd(self._kernels)
        elif stride == dilation == (1, 1) and shallow.fits(weight):
            maps = shallow.Shallow(self._kernels, padding)
        elif ordinary.fits(x, weight, stride):
            maps = ordinary.Ordinary(stride, padding, dilation)
        if maps is None:
            return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
        return convolve(maps, x.to(dtype), weight, bias)


def _computed_in(x: Tensor) -> torch.dtype:
    """Return the dtype in which a convolution of ``x`` is computed here."""
    if torch.is_autocast_enabled("cpu") and x.dtype != torch.float64:
        return torch.get_autocast_dtype("cpu")
    return x.dtype
