"""The units in which foreign images can be stored, and which of them fits best.

Every unit maps pixels in [0, 1] affinely, or whitens them. Real training images say what mean and
standard deviation each channel would have in each unit; the unit whose expectation is nearest to
what the images have is the likely one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet, normalise
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.support.untrusted import check_fits_memory

BYTES, PIXELS, DATASET, HALF, IMAGENET, WHITENED = (
    "bytes", "pixels", "dataset", "half", "imagenet", "zca",
)  # fmt: skip
UNITS: Mapping[str, str] = {
    BYTES: "pixels in 0..255",
    PIXELS: "pixels in [0, 1]",
    DATASET: "normalised with the dataset's mean and std",
    HALF: "normalised with mean 0.5 and std 0.5",
    IMAGENET: "normalised with ImageNet's mean and std",
    WHITENED: "ZCA-whitened",
}
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The regularisation of published distillation code, as in Kornia's ZCAWhitening(eps=0.1).
ZCA_EPSILON = 0.1
# Real images on which expectations are measured.
_SAMPLE = 5000
# Values per image up to which whitening is looked for: its statistics are a square of them, of
# which the eigenvectors are needed. 64x64 grey or 32x32 colour images take seconds.
_MOST_WHITENED = 4096
# A unit that fits so well is taken without a look at whitening, which takes seconds to compute.
_NEAR = 0.3


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each channel, float64 ``(C,)``."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, images: Tensor) -> Moments:
        """Measure images ``(N, C, H, W)``."""
        values = images.double().transpose(0, 1).flatten(1)
        return cls(values.mean(1), values.std(1))

    def distance(self, other: Moments) -> float:
        """Return how far other moments are: 0 if equal, about 1 if off by one std or a factor e."""
        shift = ((other.mean - self.mean) / self.std.clamp(min=1e-6)).abs()
        scale = (other.std.clamp(min=1e-6) / self.std.clamp(min=1e-6)).log().abs()
        return float((shift + scale).mean())


class KnownUnits:
    """What the units of a dataset are, measured on its real training images.

    Args:
        real: the training part.
    """

    def __init__(self, real: RealSet) -> None:
        self.spec = real.spec
        step = max(1, len(real) // _SAMPLE)
        self.pixels = real.images[::step].cpu().float() / 255
        self._real = real
        self._zca: ZCA | None = None

    @property
    def zca(self) -> ZCA:
        """Return the statistics that whiten the dataset, computed when first asked for.

        Raises:
            ValueError: they, and what computes them, do not fit this machine's memory.
        """
        if self._zca is None:
            # The covariance, its eigenvectors and the result, in float64.
            check_fits_memory(3 * 8 * self.spec.pixels**2)
            self._zca = ZCA.fit(self._real.images, ZCA_EPSILON)
        return self._zca

    def moments(self, unit: str) -> Moments:
        """Return the moments that real images have in a unit."""
        if unit == WHITENED:
            if self._zca is not None:
                return self.whitened(self._zca)
            # Statistics of the sample will do, and take a tenth of the time.
            sample = (self.pixels * 255).round().to(torch.uint8)
            return self.whitened(ZCA.fit(sample, ZCA_EPSILON))
        return self.normalised(*affine(unit, self.spec))

    def normalised(self, mean: Tensor, std: Tensor) -> Moments:
        """Return the moments that real images have, normalised by these values of each channel."""
        pixels = Moments.of(self.pixels)
        return Moments((pixels.mean - mean) / std, pixels.std / std)

    def whitened(self, zca: ZCA) -> Moments:
        """Return the moments that real images have, whitened by statistics of someone's own."""
        return Moments.of(zca.whiten(self.pixels))

    def distances(self, images: Tensor, with_zca: bool) -> dict[str, float]:
        """Return how badly each unit that is possible fits float images; the best comes first.

        Whitening is left out where its statistics would take minutes or more to compute.
        """
        observed = Moments.of(images)
        units = [DATASET, HALF] + ([IMAGENET] if self.spec.channels == 3 else [])
        distances = {unit: self.moments(unit).distance(observed) for unit in units}
        feasible = self.spec.pixels <= _MOST_WHITENED
        if with_zca and feasible and min(distances.values()) > _NEAR:
            distances[WHITENED] = self.moments(WHITENED).distance(observed)
        return dict(sorted(distances.items(), key=lambda item: item[1]))


def affine(unit: str, spec: DatasetSpec) -> tuple[Tensor, Tensor]:
    """Return mean and std, float64 ``(C,)``: a value in the unit is ``(pixel - mean) / std``."""
    means = {DATASET: spec.mean, IMAGENET: _IMAGENET_MEAN, HALF: (0.5,) * spec.channels}
    stds = {DATASET: spec.std, IMAGENET: _IMAGENET_STD, HALF: (0.5,) * spec.channels}
    mean = means.get(unit, (0.0,) * spec.channels)
    std = stds.get(unit, ((1 / 255 if unit == BYTES else 1.0),) * spec.channels)
    return torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)


def to_pixels(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Map images in a unit of that mean and std to pixels, not cut to [0, 1]: float64."""
    return images.double() * std.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1)


def to_normalised(images: Tensor, mean: Tensor, std: Tensor, spec: DatasetSpec) -> Tensor:
    """Map images in a unit to the dataset's: float32 ``(N, C, H, W)``.

    Args:
        images: float ``(N, C, H, W)``.
        mean: of the unit, ``(C,)``.
        std: of the unit, ``(C,)``.
        spec: the dataset. Images in its own units are returned unchanged, bit for bit.
    """
    own_mean, own_std = affine(DATASET, spec)
    if torch.equal(mean, own_mean) and torch.equal(std, own_std):
        return images.float()
    return normalise(to_pixels(images, mean, std).float(), spec)


def parse_unit(text: str, spec: DatasetSpec) -> tuple[Tensor, Tensor]:
    """Return mean and std of ``MEAN/STD``, each one number or one per channel: ``0.5/0.25``.

    Raises:
        ValueError: it is no such text.
    """
    parts = text.split("/")
    if len(parts) != 2:
        raise ValueError("expected MEAN/STD")
    mean, std = ([float(value) for value in part.split(",")] for part in parts)
    for values in (mean, std):
        if len(values) not in (1, spec.channels) or not all(map(math.isfinite, values)):
            raise ValueError(f"expected 1 or {spec.channels} numbers on each side of '/'")
    if min(std) <= 0:
        raise ValueError("standard deviations must be above 0")
    expanded = [v * spec.channels if len(v) == 1 else v for v in (mean, std)]
    return torch.tensor(expanded[0], dtype=torch.float64), torch.tensor(
        expanded[1], dtype=torch.float64
    )
