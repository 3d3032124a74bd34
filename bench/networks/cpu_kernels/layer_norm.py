"""Layer normalisation over all maps of an image on a CPU, with a fast second derivative.

A gradient penalty needs that derivative. PyTorch's own is made of some twenty operations that each
move all maps; outputs and first derivatives are PyTorch's here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.networks.cpu_kernels.convolution import weights_requested
from bench.networks.cpu_kernels.library import DTYPES, kernel_of, pointers, sizes


def fits(x: Tensor, shape: Sequence[int], weight: Tensor) -> bool:
    """Return whether the kernel takes images ``(N, C, H, W)``, normalised over ``shape``."""
    whole = tuple(shape) == tuple(weight.shape) == tuple(x.shape[1:])
    return whole and x.dtype in DTYPES and x.dim() == 4 and x.numel() > 0


def layer_norm(kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Return :func:`torch.nn.functional.layer_norm` over all but the first dimension.

    It can be differentiated twice; the kernel computes the second derivative of gradients on ``x``.

    Args:
        kernels: the compiled library.
        x: float32 or bfloat16 ``(N, C, H, W)`` on the CPU; computed in float32.
        weight: float32 ``(C, H, W)``.
        bias: float32 ``(C, H, W)``.
        eps: added to the variance.

    Returns:
        In the dtype of ``x``.
    """
    y: Tensor = _Norm.apply(kernels, x, weight, bias, eps)
    return y


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        y, means, scales = torch.native_layer_norm(x, x.shape[1:], weight, bias, eps)
        ctx.kernels, ctx.eps = kernels, eps
        ctx.save_for_backward(x, weight, bias, means, scales)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, means, scales = ctx.saved_tensors
        _, on_x, on_weight, on_bias, _ = ctx.needs_input_grad
        kept = weights_requested() and (on_weight or on_bias)
        if torch.is_grad_enabled() and not kept:
            images = _OnInput.apply(ctx.kernels, slope, x, weight, bias, means, scales)
            return None, images, None, None, None
        if torch.is_grad_enabled():  # second derivatives of gradients on weights are PyTorch's
            y, *_ = torch.native_layer_norm(x, x.shape[1:], weight, bias, ctx.eps)
            inputs = x, weight, bias
            wanted = [each for each in inputs if each.requires_grad]
            found = iter(torch.autograd.grad(y, wanted, slope, create_graph=True))
            return None, *(next(found) if t.requires_grad else None for t in inputs), None
        mask = on_x, kept and on_weight, kept and on_bias
        return None, *_gradients(slope, x, weight, bias, means, scales, mask), None


class _OnInput(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernels: ctypes.CDLL, slope: Tensor, x: Tensor, weight: Tensor, bias: Tensor,
        means: Tensor, scales: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.kernels = kernels
        ctx.save_for_backward(slope, x, weight, means, scales)
        return _gradients(slope, x, weight, bias, means, scales, (True, False, False))[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, onto: Tensor) -> tuple[Tensor | None, ...]:
        slope, x, weight, means, scales = ctx.saved_tensors
        kept = ctx.needs_input_grad[3] and weights_requested()
        x, weight, dtype = x.contiguous(), weight.contiguous(), slope.dtype
        onto, slope = (each.to(x.dtype).contiguous() for each in (onto, slope))
        on_slope, on_x = torch.empty_like(x), torch.empty_like(x)
        on_weight = torch.empty_like(weight) if kept else None
        kernel_of(ctx.kernels, "layer_norm_second", x.dtype)(
            *pointers(onto, slope, x, weight, means, scales, on_slope, on_x, on_weight),
            *sizes(len(x), weight.numel()), torch.get_num_threads(),
        )  # fmt: skip
        return None, on_slope.to(dtype), on_x, on_weight, None, None, None


def _gradients(
    slope: Tensor, x: Tensor, weight: Tensor, bias: Tensor, means: Tensor, scales: Tensor,
    mask: tuple[bool, bool, bool],
) -> tuple[Tensor, ...]:  # fmt: skip
    """Return the gradients on images, weight and bias; ``None`` for those not in the mask."""
    found: tuple[Tensor, ...] = torch.ops.aten.native_layer_norm_backward(
        slope, x, x.shape[1:], means, scales, weight, bias, mask
    )
    return found
