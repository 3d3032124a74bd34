"""A small vision transformer with patches of 4x4 pixels.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021 (equations 1 to 4, with a class
token and learned positions), in the size that Hassani et al., "Escaping the Big Data Paradigm with
Compact Transformers", 2021 give it for CIFAR, there called ViT-Lite-7/4: 7 layers, 256 wide, 4
heads, hidden layers twice as wide. 3,716,874 parameters for 32x32 RGB images of 10 classes (their
table: 3.72 million).

Unlike their code, a block's second residual starts from the sum itself, as in Dosovitskiy et al.,
not from its norm; and there is neither dropout nor stochastic depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from architectures.network import Network
from bench.plugin import Architecture, BenchError, DatasetSpec, param


@dataclass(frozen=True)
class ViTParams:
    """What can be set of the transformer."""

    patch: int = param(4, help="side of a patch in pixels", min=1)
    depth: int = param(7, help="blocks", min=1, max=256)
    width: int = param(256, help="numbers in a token", min=1, max=8192)
    heads: int = param(4, help="attention heads; they divide the width", min=1, max=8192)
    hidden: int = param(2, help="width of the hidden layers, in widths of a token", min=1, max=64)


class ViT(Architecture):
    """A small vision transformer: patches of 4x4, 7 layers, 256 wide (ViT-Lite-7/4)."""

    name = "vit"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {"vit": {}}
    Params = ViTParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: ViTParams) -> Network:
        """Return a transformer drawn as in the code of Hassani et al.

        Linear weights are normal with standard deviation 0.02, positions with 0.2; the convolution
        that embeds patches is drawn as in He et al. (fan-in); the class token and the biases of
        linear layers are zero.

        Raises:
            BenchError: if patches do not tile the images, or heads do not divide the width.
        """
        _check(spec, params)
        width = params.width
        features = nn.Sequential(
            Tokens(spec, params.patch, width),
            *(Block(width, params.heads, params.hidden * width) for _ in range(params.depth)),
            nn.LayerNorm(width),
            ClassToken(),
        )
        network = Network(features, width, spec.num_classes)
        for module in network.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return network

    @classmethod
    def per_sample(cls, params: ViTParams) -> bool:  # noqa: ARG003
        """Always true: every token of every image is normalised alone."""
        return True


class Tokens(nn.Module):
    """Embeds patches, puts a class token before them and adds positions.

    Args:
        spec: gives channels, height and width.
        patch: side of a patch.
        width: numbers in a token.
    """

    def __init__(self, spec: DatasetSpec, patch: int, width: int) -> None:
        super().__init__()
        count = (spec.height // patch) * (spec.width // patch)
        self.embed = nn.Conv2d(spec.channels, width, patch, stride=patch)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 1 + count, width))
        nn.init.kaiming_normal_(self.embed.weight)
        nn.init.trunc_normal_(self.position, std=0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to tokens ``(N, 1 + patches, width)``."""
        patches = self.embed(x).flatten(2).mT
        return torch.cat([self.first.expand(len(x), -1, -1), patches], dim=1) + self.position


class Attention(nn.Module):
    """Multi-head self-attention.

    Written out, since PyTorch's fused kernels cannot be differentiated twice, which gradient
    matching needs; there are few tokens.

    Args:
        width: numbers in a token.
        heads: divide them.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, T, width)`` to the same shape."""
        n, tokens, width = x.shape
        split = self.project_in(x).view(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.mT * (width // self.heads) ** -0.5
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(n, tokens, width)
        out: Tensor = self.project_out(mixed)
        return out


class Block(nn.Module):
    """Attention and a perceptron, each after a layer norm and added to its input.

    Args:
        width: numbers in a token.
        heads: of the attention.
        hidden: units of the perceptron's hidden layer.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, T, width)`` to the same shape."""
        x = x + self.attention(x)
        out: Tensor = x + self.perceptron(x)
        return out


class ClassToken(nn.Module):
    """Takes the first token."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, T, width)`` to ``(N, width)``."""
        return x[:, 0]


def _check(spec: DatasetSpec, params: ViTParams) -> None:
    if spec.height % params.patch or spec.width % params.patch:
        raise BenchError(
            f"vit cannot take the {spec.height}x{spec.width} images of {spec.name}: patches of "
            f"{params.patch}x{params.patch} do not tile them; choose a patch that divides each side"
        )
    if params.width % params.heads:
        raise BenchError(
            f"vit(width={params.width},heads={params.heads}): heads must divide the width"
        )
