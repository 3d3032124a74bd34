"""What most networks of this package share: a body, a linear classifier, and rules for sizes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from architectures.layers import Size
from bench.plugin import BenchError, DatasetSpec


class Network(nn.Module):
    """A body that maps images to vectors, and a linear classifier of these.

    The body is built before the classifier draws its weights.

    Args:
        features: maps ``(N, C, H, W)`` to maps or vectors of ``width`` numbers for each image.
        width: the classifier's inputs.
        num_classes: the classifier's outputs.
    """

    def __init__(self, features: nn.Module, width: int, num_classes: int) -> None:
        super().__init__()
        self.features = features
        self.classifier = nn.Linear(width, num_classes)

    def embed(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to the classifier's input ``(N, width)``."""
        features: Tensor = self.features(x)
        return features.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        logits: Tensor = self.classifier(self.embed(x))
        return logits


class GlobalAverage(nn.Module):
    """The mean of every map, whatever its size."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C)``."""
        return x.mean((2, 3))


def draw_he(body: nn.Module, mode: Literal["fan_in", "fan_out"]) -> None:
    """Draw every convolution's weights anew, normal with variance ``2 / fan``; zero the biases.

    He et al., "Delving Deep into Rectifiers", ICCV 2015. The fan is ``k * k`` times the input
    channels (``fan_in``) or the output channels (``fan_out``).
    """
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def first_padding(spec: DatasetSpec, usual: int) -> tuple[Size, int]:
    """Return the size of the first convolution's maps, and the padding that gives it.

    Images of 28x28 are padded to 32x32 within the first convolution, as in the field's code;
    images of any other size get the ``usual`` padding, which keeps it.
    """
    size = spec.height, spec.width
    return ((32, 32), usual + 2) if size == (28, 28) else (size, usual)


def check_side(architecture: str, spec: DatasetSpec, least: int) -> None:
    """Refuse images with a side below ``least`` pixels.

    Raises:
        BenchError: naming the architecture, the dataset and the side that is needed.
    """
    if min(spec.height, spec.width) < least:
        raise BenchError(
            f"{architecture} cannot take the {spec.height}x{spec.width} images of {spec.name}: "
            f"each side must be at least {least}"
        )
