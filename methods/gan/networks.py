"""The conditional generator and the two-headed discriminator of DiM's GAN.

Source: the released code of Wang et al. 2023 (arXiv:2303.04707), which knows images of 28 and 32
pixels. Other sizes get the same family with fewer or more stages: the grid halves (rounding up)
from the image to at most 4x4, and each halving is one stage of either network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.plugin import BenchError, DatasetSpec, ImageGenerator

_SMALLEST_GRID = 4


def stage_grids(spec: DatasetSpec) -> list[tuple[int, int]]:
    """Return the (height, width) of every stage, from the image down to at most 4x4.

    Raises:
        BenchError: if the image is so small that there is no stage at all.
    """
    grids = [(spec.height, spec.width)]
    while max(grids[-1]) > _SMALLEST_GRID:
        grids.append(((grids[-1][0] + 1) // 2, (grids[-1][1] + 1) // 2))
    if len(grids) == 1:
        raise BenchError(
            f"the conditional GAN needs images of more than {_SMALLEST_GRID} pixels a side, but "
            f"{spec.name} has {spec.height}x{spec.width}"
        )
    return grids


class ConditionalGenerator(ImageGenerator):
    """Draws images of given classes from noise whose first entries are the one-hot label.

    A linear layer to the smallest grid, then one transposed convolution per stage, each but the
    last followed by 3x3 convolutions (three after the first, one after the others); batch
    normalisation and ReLU after all of them; a 3x3 convolution and tanh to the image. At width
    196 it has 3,559,363 parameters for 32x32x3 and 10 classes.

    Args:
        spec: the image's shape and the number of classes.
        width: channels of every hidden layer.
        noise_dim: entries of the latent vector, the label's among them.

    Raises:
        BenchError: if ``noise_dim`` leaves no entry for noise, or the image is too small.
    """

    def __init__(self, spec: DatasetSpec, width: int = 196, noise_dim: int = 100) -> None:
        super().__init__()
        if noise_dim <= spec.num_classes:
            raise BenchError(
                f"noise_dim = {noise_dim} leaves no noise beside the one-hot label: {spec.name} "
                f"has {spec.num_classes} classes, so it must be at least {spec.num_classes + 1}"
            )
        self.config = {"width": width, "noise_dim": noise_dim}
        self.num_classes, self.noise_dim = spec.num_classes, noise_dim
        grids = stage_grids(spec)[::-1]
        self.start = (width, *grids[0])
        area = grids[0][0] * grids[0][1]
        self.stem = nn.Sequential(
            nn.Linear(noise_dim, width * area), nn.BatchNorm1d(width * area), nn.ReLU(inplace=True)
        )
        body: list[nn.Module] = []
        refinements = [*_refinements(len(grids) - 1), 0]
        for high, extra in zip(grids[1:], refinements, strict=True):
            body += _normalised(_enlarge(width, high), width)
            for _ in range(extra):
                body += _normalised(nn.Conv2d(width, width, 3, padding=1), width)
        self.body = nn.Sequential(*body, nn.Conv2d(width, spec.channels, 3, padding=1), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        """Map latent vectors ``(N, noise_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        images: Tensor = self.body(self.stem(latent).view(-1, *self.start))
        return images

    def latent(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw ``(N, noise_dim)`` normal noise, its first ``num_classes`` entries the label."""
        noise = torch.randn(len(labels), self.noise_dim, generator=generator, device=labels.device)
        noise[:, : self.num_classes] = F.one_hot(labels, self.num_classes)
        return noise

    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one image per label; see :class:`bench.plugin.ImageGenerator`."""
        return self.forward(self.latent(labels, generator))


class Discriminator(nn.Module):
    """Scores images as real or generated, and classifies them.

    3x3 convolutions, each followed by layer normalisation over the whole feature map and leaky
    ReLU: one at full size, then one with stride 2 per stage, followed by others of stride 1
    (none after the last stage, three after the one before it, one after the rest); the maximum
    over the grid feeds two linear heads. Every sample's output is independent of its batch. At
    width 196 it has 3,137,971 parameters for 32x32x3 and 10 classes.

    Args:
        spec: the image's shape and the number of classes.
        width: channels of every hidden layer.

    Raises:
        BenchError: if the image is too small.
    """

    def __init__(self, spec: DatasetSpec, width: int = 196) -> None:
        super().__init__()
        image, *grids = stage_grids(spec)
        body = _layer_normalised(nn.Conv2d(spec.channels, width, 3, padding=1), width, image)
        refinements = [*reversed(_refinements(len(grids))), 0]
        for grid, extra in zip(grids, refinements, strict=True):
            body += _layer_normalised(nn.Conv2d(width, width, 3, 2, padding=1), width, grid)
            for _ in range(extra):
                body += _layer_normalised(nn.Conv2d(width, width, 3, padding=1), width, grid)
        self.body = nn.Sequential(*body)
        self.source = nn.Linear(width, 1)
        self.classes = nn.Linear(width, spec.num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the source scores ``(N,)`` and the class logits ``(N, num_classes)``.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].
        """
        features = self.body(images).flatten(2).amax(2)
        return self.source(features).squeeze(1), self.classes(features)


def _refinements(stages: int) -> list[int]:
    """Return how many 3x3 convolutions follow each change of grid, from the smallest grid on."""
    return [3, *[1] * (stages - 2)][: stages - 1]


def _enlarge(width: int, high: tuple[int, int]) -> nn.Module:
    """Return the transposed convolution that undoes a halving (rounded up) of either side."""
    kernel = (4 - high[0] % 2, 4 - high[1] % 2)
    return nn.ConvTranspose2d(width, width, kernel, stride=2, padding=1)


def _normalised(layer: nn.Module, width: int) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def _layer_normalised(layer: nn.Module, width: int, grid: tuple[int, int]) -> list[nn.Module]:
    return [layer, nn.LayerNorm([width, *grid]), nn.LeakyReLU(inplace=True)]
