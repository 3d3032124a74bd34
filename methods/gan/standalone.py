"""The conditional generator of DiM's GAN; this module needs torch alone.

``bench export`` copies it beside the weights of a generator::

    from generator import load

    network, normalise = load("generator.pt")
    images = network.sample(torch.arange(10))  # float32 (10, C, H, W) in [-1, 1]
    images = normalise(images)  # in the units that networks are trained on

Source of the network: the released code of Wang et al. 2023 (arXiv:2303.04707).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST_GRID = 4


def grids_of(height: int, width: int) -> list[tuple[int, int]]:
    """Return the (height, width) of every stage, from the image down to at most 4x4."""
    grids = [(height, width)]
    while max(grids[-1]) > SMALLEST_GRID:
        grids.append(((grids[-1][0] + 1) // 2, (grids[-1][1] + 1) // 2))
    return grids


class Generator(nn.Module):
    """Draws images of given classes from noise whose first entries are the one-hot label.

    A linear layer to the smallest grid, then one transposed convolution per stage, each but the
    last followed by 3x3 convolutions (three after the first, one after the others); batch
    normalisation and ReLU after all of them; a 3x3 convolution and tanh to the image. At width
    196 it has 3,559,363 parameters for 32x32x3 and 10 classes.

    Args:
        shape: channels, height and width of an image.
        num_classes: labels run from 0 to ``num_classes - 1``.
        width: channels of every hidden layer.
        noise_dim: entries of the latent vector, the label's among them.
    """

    def __init__(
        self, shape: tuple[int, int, int], num_classes: int, width: int = 196, noise_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_classes, self.noise_dim = num_classes, noise_dim
        grids = grids_of(*shape[1:])[::-1]
        self.start = (width, *grids[0])
        area = grids[0][0] * grids[0][1]
        self.stem = nn.Sequential(
            nn.Linear(noise_dim, width * area), nn.BatchNorm1d(width * area), nn.ReLU(inplace=True)
        )
        body: list[nn.Module] = []
        refinements = [*refinements_of(len(grids) - 1), 0]
        for high, extra in zip(grids[1:], refinements, strict=True):
            body += _normalised(_enlarge(width, high), width)
            for _ in range(extra):
                body += _normalised(nn.Conv2d(width, width, 3, padding=1), width)
        self.body = nn.Sequential(*body, nn.Conv2d(width, shape[0], 3, padding=1), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        """Map latent vectors ``(N, noise_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        images: Tensor = self.body(self.stem(latent).view(-1, *self.start))
        return images

    def latent(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(N, noise_dim)`` normal noise, its first ``num_classes`` entries the label."""
        noise = torch.randn(len(labels), self.noise_dim, generator=generator, device=labels.device)
        noise[:, : self.num_classes] = F.one_hot(labels, self.num_classes)
        return noise

    def sample(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw one image per label: float32 ``(N, C, H, W)`` in [-1, 1].

        Args:
            labels: int64 ``(N,)``.
            generator: the source of random numbers; default: torch's own.
        """
        return self.forward(self.latent(labels, generator))


def load(path: str) -> tuple[Generator, Callable[[Tensor], Tensor]]:
    """Load an exported generator.

    Returns:
        The network in ``eval()`` mode, and a function from its images to normalised units.
    """
    parts: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    header = json.loads(parts["bench"])
    spec, arguments = header["spec"], header["config"]["arguments"]
    shape = spec["channels"], spec["height"], spec["width"]
    network = Generator(shape, spec["num_classes"], **arguments)
    network.load_state_dict(parts["weights"])
    mean, std = (torch.tensor(spec[name]).view(1, -1, 1, 1) for name in ("mean", "std"))

    def normalise(images: Tensor) -> Tensor:
        return ((images + 1) / 2 - mean.to(images.device)) / std.to(images.device)

    return network.eval().requires_grad_(False), normalise


def refinements_of(stages: int) -> list[int]:
    """Return how many 3x3 convolutions follow each change of grid, from the smallest grid on."""
    return [3, *[1] * (stages - 2)][: stages - 1]


def _enlarge(width: int, high: tuple[int, int]) -> nn.Module:
    """Return the transposed convolution that undoes a halving (rounded up) of either side."""
    kernel = (4 - high[0] % 2, 4 - high[1] % 2)
    return nn.ConvTranspose2d(width, width, kernel, stride=2, padding=1)


def _normalised(layer: nn.Module, width: int) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
