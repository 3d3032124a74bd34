"""ConvNet, the network that dataset distillation is measured with.

Blocks of convolution, normalisation, activation and pooling, then one linear classifier: Gidaris
and Komodakis, "Dynamic Few-Shot Visual Learning without Forgetting", CVPR 2018, as adopted by Zhao
et al., "Dataset Condensation with Gradient Matching", ICLR 2021. ``convnet3`` with its defaults is
the ConvNet-3 of the field: 320,010 parameters for 32x32 RGB images of 10 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from architectures.layers import NORMS, AvgPool2, Blocks, Size, make_norm
from bench.plugin import Architecture, BenchError, DatasetSpec, param

_DEPTHS = range(1, 7)
_POOLINGS = ("avg", "max", "none")
_ACTIVATIONS = ("relu", "leakyrelu", "sigmoid", "swish")


@dataclass(frozen=True)
class ConvNetParams:
    """What can be set of a ConvNet; the depth comes from the name."""

    depth: int = param(3, help="blocks", min=1, max=6)
    width: int = param(128, help="channels of every convolution", min=1, max=8192)
    norm: str = param("instance", help="normalisation after each convolution", choices=NORMS)
    activation: str = param("relu", help="after each normalisation", choices=_ACTIVATIONS)
    pooling: str = param("avg", help="2x2, at the end of each block", choices=_POOLINGS)


class ConvNet(Architecture):
    """ConvNets of 1 to 6 blocks; the field measures with ``convnet3``."""

    name = "convnet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        f"convnet{depth}": {"depth": depth} for depth in _DEPTHS
    }
    Params = ConvNetParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: ConvNetParams) -> ConvNetwork:
        """Return a network with PyTorch's default initialisation, as the field uses.

        Raises:
            BenchError: if pooling leaves nothing of images that small, or the norm cannot be had.
        """
        return ConvNetwork(spec, params)

    @classmethod
    def per_sample(cls, params: ConvNetParams) -> bool:
        """True unless the norm is ``batch``."""
        return params.norm != "batch"


class ConvNetwork(nn.Module):
    """``depth`` blocks of 3x3 convolution, norm, activation and pooling; then a linear classifier.

    Images of 28x28 are padded to 32x32 within the first convolution (padding 3), as in the field's
    code, so that three halvings leave 4x4; images of any other size keep it (padding 1).

    Args:
        spec: gives channels, height, width and the number of classes.
        params: the family's parameters.

    Raises:
        BenchError: as :meth:`ConvNet.build`.
    """

    def __init__(self, spec: DatasetSpec, params: ConvNetParams) -> None:
        super().__init__()
        size, channels, padding = (spec.height, spec.width), spec.channels, 1
        if size == (28, 28):
            size, padding = (32, 32), 3
        if params.pooling != "none":
            _check_size(size, spec, params.depth)
        layers: list[nn.Module] = []
        for _ in range(params.depth):
            layers.append(nn.Conv2d(channels, params.width, 3, padding=padding))
            if params.norm != "none":
                layers.append(make_norm(params.norm, params.width, size))
            layers.append(_activation(params.activation))
            if params.pooling != "none":
                layers.append(AvgPool2() if params.pooling == "avg" else nn.MaxPool2d(2))
                size = size[0] // 2, size[1] // 2
            channels, padding = params.width, 1
        self.features = Blocks(*layers)
        self.classifier = nn.Linear(channels * size[0] * size[1], spec.num_classes)

    def embed(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to the classifier's input ``(N, width * H' * W')``."""
        features: Tensor = self.features(x)
        return features.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        logits: Tensor = self.classifier(self.embed(x))
        return logits


def _check_size(size: Size, spec: DatasetSpec, depth: int) -> None:
    if min(size) < 2**depth:
        raise BenchError(
            f"convnet{depth} cannot take the {spec.height}x{spec.width} images of {spec.name}: "
            f"it halves them {depth} times, so each side must be at least {2**depth}; "
            "use fewer blocks or pooling=none"
        )


def _activation(kind: str) -> nn.Module:
    # In place where the backward pass needs the output only; SiLU's needs its input.
    match kind:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leakyrelu":
            return nn.LeakyReLU(0.01, inplace=True)
        case "sigmoid":
            return nn.Sigmoid()
        case _:
            return nn.SiLU()
