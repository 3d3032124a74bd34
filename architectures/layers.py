"""Building blocks that the families share: normalisation, pooling and their shapes."""

from __future__ import annotations

from torch import Tensor, nn

from bench.plugin import BenchError
from bench.plugin.compute import average_pool2, norm_relu_pool

NORMS = ("instance", "batch", "group", "layer", "none")
GROUPS = 4
Size = tuple[int, int]


def make_norm(kind: str, channels: int, size: Size) -> nn.Module:
    """Return an affine normalisation layer for ``(N, channels, *size)`` maps.

    Args:
        kind: one of :data:`NORMS`. ``instance`` is group normalisation with one channel per group,
            the field's habit; ``group`` has 4 groups; ``layer`` normalises, scales and shifts over
            ``(C, H, W)``; ``none`` is the identity.
        channels: of the maps.
        size: height and width of the maps.

    Raises:
        BenchError: if the channels do not divide into groups, or if a group holds a single value,
            which normalisation would turn into zero whatever the image shows.

    On a CPU ``nn.GroupNorm`` is by far the fastest form of instance normalisation (forward and
    backward of 16 x 128 x 32 x 32 on one core: 1.5 ms, against 5.1 for ``F.instance_norm`` and
    5.6 to 19 for compositions of simpler operations).
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "none":
        return nn.Identity()
    groups = {"instance": channels, "group": GROUPS, "layer": 1}[kind]
    if channels % groups:
        raise BenchError(
            f"norm = 'group' with {channels} channels: they do not divide into {GROUPS} groups; "
            f"choose a width that is a multiple of {GROUPS}"
        )
    if channels // groups * size[0] * size[1] == 1:
        raise BenchError(
            f"norm = '{kind}' would see maps of 1x1 and turn them all into zero: "
            "choose larger images, fewer halvings or another norm"
        )
    if kind == "layer":
        return nn.LayerNorm((channels, *size))
    return nn.GroupNorm(groups, channels)


class AvgPool2(nn.Module):
    """:func:`bench.networks.fused_operations.average_pool2` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C, H // 2, W // 2)``."""
        return average_pool2(x)


_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class Blocks(nn.Sequential):
    """A sequence in which instance norm, ReLU and :class:`AvgPool2` in a row are one operation.

    The numbers are those of the layers one by one. Hooks on the layers are honoured: a triple of
    which one has a hook is not joined.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch through all layers."""
        layers, i = list(self), 0
        while i < len(layers):
            norm = _joined(layers[i : i + 3])
            if norm is None:
                x, i = layers[i](x), i + 1
            else:
                x, i = norm_relu_pool(x, norm.weight, norm.bias, norm.eps), i + 3
        return x


def _joined(layers: list[nn.Module]) -> nn.GroupNorm | None:
    """Return the norm if these layers can be one operation."""
    if [type(layer) for layer in layers] != [nn.GroupNorm, nn.ReLU, AvgPool2]:
        return None
    norm = layers[0]
    assert isinstance(norm, nn.GroupNorm)
    hooked = any(getattr(layer, hooks) for layer in layers for hooks in _HOOKS)
    return norm if norm.num_groups == norm.num_channels and not hooked else None
