"""Puts the kernels in the place of PyTorch's operations, within a ``with`` block of one thread.

Architectures stay plain PyTorch. Within the block, a kernel computes each convolution,
``norm_relu_pool`` or layer normalisation that it computes faster, and PyTorch computes the rest;
the numbers agree to rounding. Whatever a kernel cannot read, it leaves to PyTorch, and to PyTorch's
error messages.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bench.networks.cpu_kernels import block, layer_norm, ordinary, shallow, winograd
from bench.networks.cpu_kernels.convolution import Maps, convolve
from bench.networks.cpu_kernels.library import kernels_are_expected, library
from bench.networks.fused_operations import norm_relu_pool

# How many blocks of `without_kernels` and of `idle_kernels` this process is in.
_switched_off = 0
_idle = 0


def fast_operations(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which networks on ``device`` run on the fastest operations there are.

    It does nothing on another device than a CPU, or without a compiler.
    """
    if device.type != "cpu" or _switched_off:
        return nullcontext()
    if _idle:  # for the counting of work, which must not wait until the kernels are compiled
        return _FastOperations(_IdleKernels()) if kernels_are_expected() else nullcontext()
    kernels = library().kernels
    return nullcontext() if kernels is None else _FastOperations(kernels)


@contextmanager
def without_kernels() -> Iterator[None]:
    """Compute by PyTorch's own operations within the block, in every thread of this process."""
    global _switched_off
    _switched_off += 1
    try:
        yield
    finally:
        _switched_off -= 1


@contextmanager
def idle_kernels() -> Iterator[None]:
    """Call kernels that compute nothing within the block, in every thread of this process.

    What they would write stays as it was: for code that is run to count its work.
    """
    global _idle
    _idle += 1
    try:
        yield
    finally:
        _idle -= 1


class _IdleKernels(ctypes.CDLL):
    """Stands in for the compiled library: each of its functions does nothing."""

    def __init__(self) -> None:
        """Load nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


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
    def __init__(self, kernels: ctypes.CDLL) -> None:
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
        if func is norm_relu_pool and _readable(*args[:3]) and block.fits(args[0]):
            return block.block(self._kernels, *args)
        if func is F.layer_norm:
            return self._layer_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _layer_norm(
        self,
        x: Tensor,
        shape: Any,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        readable = _readable(x, weight) and _readable(x, bias)
        if weight is None or bias is None or not readable or not layer_norm.fits(x, shape, weight):
            return F.layer_norm(x, shape, weight, bias, eps)
        return layer_norm.layer_norm(self._kernels, x, weight, bias, eps)

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
        dtype, maps = _computed_in(x), None
        pairs = all(isinstance(each, tuple) for each in (stride, padding, dilation))
        usual = pairs and groups == 1 and _readable(x, weight, bias)
        if usual and _matching(x, weight, padding, dilation):
            maps = self._maps(x, weight, dtype, stride, padding, dilation)
        if maps is None:
            return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
        return convolve(maps, x.to(dtype), weight, bias)

    def _maps(
        self,
        x: Tensor,
        weight: Tensor,
        dtype: torch.dtype,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Maps | None:
        """Return the fastest way to compute a convolution, or ``None`` for PyTorch's own."""
        if dtype not in (torch.float32, torch.bfloat16):
            return None
        if stride == dilation == (1, 1):
            if winograd.fits(x, weight, padding, dtype):
                return winograd.Winograd(self._kernels)
            if shallow.fits(weight):
                return shallow.Shallow(self._kernels, padding)
        if ordinary.fits(x, weight, stride):
            return ordinary.Ordinary(stride, padding, dilation)
        return None


def _computed_in(x: Tensor) -> torch.dtype:
    """Return the dtype in which a convolution of ``x`` is computed here."""
    if torch.is_autocast_enabled("cpu") and x.dtype != torch.float64:
        return torch.get_autocast_dtype("cpu")
    return x.dtype


def _readable(x: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> bool:
    """Return whether kernels can read these tensors: in main memory, of dtypes they know.

    Tensors that a transformation of ``torch.func`` wraps have no memory of their own.
    """
    if weight is None or weight.dtype != torch.float32 or x.dim() != 4:
        return False
    if bias is not None and (bias.dtype != torch.float32 or bias.shape != weight.shape[:1]):
        return False
    # Without autocast, PyTorch refuses images of another dtype than the weights.
    if x.dtype != torch.float32 and not torch.is_autocast_enabled("cpu"):
        return False
    return all(
        each.device.type == "cpu" and not torch._C._functorch.is_functorch_wrapped_tensor(each)
        for each in (x, weight, bias)
        if each is not None
    )


def _matching(
    x: Tensor, weight: Tensor, padding: tuple[int, int], dilation: tuple[int, int]
) -> bool:
    """Return whether kernels ``(K, C, height, width)`` fit into padded images of C channels."""
    if weight.dim() != 4 or x.shape[1] != weight.shape[1] or x.numel() == 0:
        return False
    return all(
        x.shape[i + 2] + 2 * padding[i] > dilation[i] * (weight.shape[i + 2] - 1) for i in (0, 1)
    )
