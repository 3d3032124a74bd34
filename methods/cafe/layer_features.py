"""What each block of a network puts out, gathered on the way to its embedding."""

from __future__ import annotations

import copy
import threading
from functools import cache

from torch import Tensor, nn

from bench.plugin import BenchError, Context, DatasetSpec
from bench.plugin.compute import build_network, global_seed, passes

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.SiLU, nn.GELU, nn.Tanh)


def blocks(network: nn.Module) -> list[nn.Module]:
    """Return the modules whose outputs are the network's layers, first to last.

    They are the activations that stand in ``network.features`` (an ``nn.Sequential``) and its
    modules that are made of others, such as residual blocks. ConvNet-3 has three: its blocks before
    pooling, as CAFE's released code takes them. There are none without such a list.
    """
    features = getattr(network, "features", None)
    if not isinstance(features, nn.Sequential):
        return []
    return [m for m in features if isinstance(m, _ACTIVATIONS) or any(m.children())]


@cache
def why_no_blocks(arch: str, spec: DatasetSpec) -> str | None:
    """Return why an architecture's networks have no :func:`blocks`; builds one to see."""
    try:
        with global_seed(0):
            network = build_network(arch, spec)
    except BenchError as error:
        return str(error)
    if blocks(network):
        return None
    return f"{arch} does not list its blocks, so its features cannot be had layer by layer"


class LayerFeatures:
    """Calls a network and returns its layers' features; several threads may call one object.

    What it calls is a copy that shares the network's parameters, so that hooks neither slow the
    network down nor see what it does elsewhere. Batch normalisation is in the network's mode.

    Args:
        network: with the blocks that :func:`blocks` finds; its parameters may change in place.
        ctx: whose precision to compute in.
    """

    def __init__(self, network: nn.Module, ctx: Context) -> None:
        shared: dict[int, object] = {id(parameter): parameter for parameter in network.parameters()}
        self._network, self._ctx = copy.deepcopy(network, shared), ctx
        self._calls = threading.local()
        for block in blocks(self._network):
            block.register_forward_hook(self._keep)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return every layer's features, first to last, then the embedding.

        Args:
            images: float32 ``(N, C, H, W)``, normalised.

        Returns:
            float32 ``(N, D)`` each, maps flattened.
        """
        outputs: list[Tensor] = []
        self._calls.outputs = outputs
        embedding = passes.embed(self._network, images, self._ctx)
        return [features.float().flatten(1) for features in (*outputs, embedding)]

    def _keep(self, _block: nn.Module, _images: tuple[Tensor, ...], output: Tensor) -> None:
        self._calls.outputs.append(output)
