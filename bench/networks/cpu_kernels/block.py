"""Instance normalisation, ReLU and average pooling as one operation on a CPU."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from bench.networks.cpu_kernels.library import DTYPES, kernel_of, pointers, sizes
from bench.networks.fused_operations import one_by_one


def fits(x: Tensor) -> bool:
    """Return whether the kernel takes maps ``(N, C, H, W)``: float32 or bfloat16, even sides."""
    return x.dtype in DTYPES and x.dim() == 4 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0


def block(kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Return :func:`bench.networks.fused_operations.norm_relu_pool` of the same arguments.

    Args:
        kernels: the compiled library.
        x: float32 or bfloat16 ``(N, C, H, W)`` on the CPU; computed in float32.
        weight: float32 ``(C,)``.
        bias: float32 ``(C,)``.
        eps: added to the variance.
    """
    y: Tensor = _Block.apply(kernels, x, weight, bias, eps)
    return y


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        inputs = x, weight, bias
        x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
        n, channels, height, width = x.shape
        y = x.new_empty(n, channels, height // 2, width // 2)
        means, scales = weight.new_empty(2, n, channels)
        kernel_of(kernels, "block_forward", x.dtype)(
            *pointers(x, weight, bias), ctypes.c_float(eps), *pointers(y, means, scales),
            *sizes(*x.shape), torch.get_num_threads(),
        )  # fmt: skip
        ctx.kernels, ctx.eps = kernels, eps
        ctx.save_for_backward(*inputs, means, scales)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, means, scales = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            y = one_by_one(x, weight, bias, ctx.eps)
            wanted = [t for t in (x, weight, bias) if t.requires_grad]
            found = iter(torch.autograd.grad(y, wanted, slope, create_graph=True))
            return (
                None,
                *(next(found) if t.requires_grad else None for t in (x, weight, bias)),
                None,
            )
        x, slope = x.contiguous(), slope.to(x.dtype).contiguous()
        weight, bias = weight.contiguous(), bias.contiguous()
        on_x, per_image = torch.empty_like(x), weight.new_empty(2, *x.shape[:2])
        kernel_of(ctx.kernels, "block_backward", x.dtype)(
            *pointers(slope, x, weight, bias, means, scales, on_x, *per_image),
            *sizes(*x.shape), torch.get_num_threads(),
        )  # fmt: skip
        return None, on_x, *per_image.sum(1), None
