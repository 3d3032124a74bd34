"""A convolution and its gradients as three maps, each differentiated into the other two.

A convolution is linear in the images and in the kernels, so that the gradients of its gradients are
convolutions and gradients again. What computes the three maps fast (:class:`Maps`) computes every
derivative fast; PyTorch's own second derivative by the kernels, which gradient penalties and
gradient matching need, takes about three times as long as its first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor


class Maps(Protocol):
    """A way to compute a convolution; images, outputs and slopes are of one dtype."""

    def outputs(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the outputs ``(N, K, H', W')`` of images ``(N, C, H, W)``.

        Args:
            x: images or maps.
            weight: float32 ``(K, C, height, width)``.
            bias: float32 ``(K,)``, or ``None``.
        """
        ...

    def on_input(self, slope: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """Return the gradient on images of a shape, given that on the outputs."""
        ...

    def on_weight(self, x: Tensor, slope: Tensor, shape: torch.Size) -> Tensor:
        """Return the gradient on kernels of a shape, float32, given that on the outputs."""
        ...


def convolve(maps: Maps, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``maps.outputs(x, weight, bias)``, differentiable any number of times."""
    result: Tensor = _Outputs.apply(maps, x, weight, bias)
    return result


_requested = threading.local()


def image_gradient(total: Tensor, images: Tensor, *, create_graph: bool = False) -> Tensor:
    """Return ``torch.autograd.grad(total, images)``, without work for gradients on weights.

    On a CPU convolutions are operations written in Python here. PyTorch does not pass on to those
    which gradients are requested: they would compute the ones on weights too, wherever weights
    require a gradient. The result is the same.

    Args:
        total: 0-d.
        images: what ``total`` was computed from by networks; must not lie behind their weights.
        create_graph: whether the result can be differentiated, by weights as well.
    """
    before = weights_requested()
    _requested.weights = False
    try:
        (found,) = torch.autograd.grad(total, images, create_graph=create_graph)
    finally:
        _requested.weights = before
    return found


def weights_requested() -> bool:
    """Return whether gradients on weights are requested, see :func:`image_gradient`."""
    return getattr(_requested, "weights", True)


def _computed(operation: Callable[..., Tensor], *args: Any) -> Tensor:
    """Return what an operation of :class:`Maps` computes, as a tensor that is no view.

    Autograd forbids to change a view in place that a custom function made; networks change the
    outputs of a convolution in place by their activations and sums, and methods change gradients.

    Float32 stays float32: a backward pass runs under the autocast of its caller, which may differ
    from that of the forward pass and would hand bfloat16 to a kernel that reads float32.
    """
    first: Tensor = args[0]
    if first.dtype == torch.float32 and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            result = operation(*args)
    else:
        result = operation(*args)
    if result._is_view():
        result = torch.ops.aten._unsafe_view(result, result.shape)
    return result


# The functions below save their tensors in ``forward``: with a ``setup_context`` of its own, each
# call of a function binds its arguments to a signature, which took a tenth of a step at IPC 1.
class _Outputs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Maps, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.maps = maps
        ctx.save_for_backward(x, weight)
        return _computed(maps.outputs, x, weight, bias)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        _, on_x, on_weight, on_bias = ctx.needs_input_grad
        kept = weights_requested()
        return (
            None,
            _OnInput.apply(ctx.maps, slope, weight, x.shape) if on_x else None,
            _OnWeight.apply(ctx.maps, x, slope, weight.shape) if on_weight and kept else None,
            _over_all(slope).to(weight.dtype) if on_bias and kept else None,
        )


def _over_all(slope: Tensor) -> Tensor:
    """Return the sum for each channel; over maps first, which is several times as fast."""
    return slope.sum((2, 3)).sum(0)


class _OnInput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Maps, slope: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        ctx.maps = maps
        ctx.save_for_backward(slope, weight)
        return _computed(maps.on_input, slope, weight, shape)

    @staticmethod
    def backward(ctx: Any, onto: Tensor) -> tuple[Tensor | None, ...]:
        slope, weight = ctx.saved_tensors
        _, on_slope, on_weight, _ = ctx.needs_input_grad
        on_weight = on_weight and weights_requested()
        return (
            None,
            _Outputs.apply(ctx.maps, onto, weight, None) if on_slope else None,
            _OnWeight.apply(ctx.maps, onto, slope, weight.shape) if on_weight else None,
            None,
        )


class _OnWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Maps, x: Tensor, slope: Tensor, shape: torch.Size) -> Tensor:
        ctx.maps = maps
        ctx.save_for_backward(x, slope)
        return _computed(maps.on_weight, x, slope, shape)

    @staticmethod
    def backward(ctx: Any, onto: Tensor) -> tuple[Tensor | None, ...]:
        x, slope = ctx.saved_tensors
        _, on_x, on_slope, _ = ctx.needs_input_grad
        return (
            None,
            _OnInput.apply(ctx.maps, slope, onto, x.shape) if on_x else None,
            _Outputs.apply(ctx.maps, x, onto, None) if on_slope else None,
            None,
        )
