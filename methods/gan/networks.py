"""The conditional generator and the two-headed discriminator of DiM's GAN.

Source: the released code of Wang et al. 2023 (arXiv:2303.04707), which knows images of 28 and 32
pixels. Other sizes get the same family with fewer or more stages: the grid halves (rounding up)
from the image to at most 4x4, and each halving is one stage of either network.
"""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

from torch import Tensor, nn

from bench.plugin import BenchError, DatasetSpec, ImageGenerator
from methods.gan import standalone
from methods.gan.standalone import SMALLEST_GRID, Generator, grids_of, refinements_of


def stage_grids(spec: DatasetSpec) -> list[tuple[int, int]]:
    """Return the (height, width) of every stage, from the image down to at most 4x4.

    Raises:
        BenchError: if the image is so small that there is no stage at all.
    """
    grids = grids_of(spec.height, spec.width)
    if len(grids) == 1:
        raise BenchError(
            f"the conditional GAN needs images of more than {SMALLEST_GRID} pixels a side, but "
            f"{spec.name} has {spec.height}x{spec.width}"
        )
    return grids


class ConditionalGenerator(Generator, ImageGenerator):
    """The generator of :mod:`methods.gan.standalone` as a registered one.

    Args:
        spec: the image's shape and the number of classes.
        width: channels of every hidden layer.
        noise_dim: entries of the latent vector, the label's among them.

    Raises:
        BenchError: if ``noise_dim`` leaves no entry for noise, or the image is too small.
    """

    standalone: ClassVar[ModuleType | None] = standalone

    def __init__(self, spec: DatasetSpec, width: int = 196, noise_dim: int = 100) -> None:
        if noise_dim <= spec.num_classes:
            raise BenchError(
                f"noise_dim = {noise_dim} leaves no noise beside the one-hot label: {spec.name} "
                f"has {spec.num_classes} classes, so it must be at least {spec.num_classes + 1}"
            )
        stage_grids(spec)
        super().__init__(spec.shape, spec.num_classes, width, noise_dim)
        self.config = {"width": width, "noise_dim": noise_dim}


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
        own_vectors: whether :meth:`opinions` scores an image for a class by a third head; else
            the one that classifies does.

    Raises:
        BenchError: if the image is too small.
    """

    def __init__(self, spec: DatasetSpec, width: int = 196, *, own_vectors: bool = False) -> None:
        super().__init__()
        image, *grids = stage_grids(spec)
        body = _layer_normalised(nn.Conv2d(spec.channels, width, 3, padding=1), width, image)
        refinements = [*reversed(refinements_of(len(grids))), 0]
        for grid, extra in zip(grids, refinements, strict=True):
            body += _layer_normalised(nn.Conv2d(width, width, 3, 2, padding=1), width, grid)
            for _ in range(extra):
                body += _layer_normalised(nn.Conv2d(width, width, 3, padding=1), width, grid)
        self.body = nn.Sequential(*body)
        self.source = nn.Linear(width, 1)
        self.classes = nn.Linear(width, spec.num_classes)
        # The last layer, so that with or without it the others begin from the same weights.
        self.vectors = nn.Linear(width, spec.num_classes, bias=False) if own_vectors else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the source scores ``(N,)`` and the class logits ``(N, num_classes)``.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].
        """
        source, classes, _ = self.opinions(images)
        return source, classes

    def opinions(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what :meth:`forward` does, and a score of each image for each class.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].

        Returns:
            ``(N,)``, ``(N, num_classes)`` and ``(N, num_classes)``.
        """
        features = self.body(images).flatten(2).amax(2)
        classes = self.classes(features)
        scores = classes if self.vectors is None else self.vectors(features)
        return self.source(features).squeeze(1), classes, scores


def _layer_normalised(layer: nn.Module, width: int, grid: tuple[int, int]) -> list[nn.Module]:
    return [layer, nn.LayerNorm([width, *grid]), nn.LeakyReLU(inplace=True)]
