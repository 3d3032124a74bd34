"""The order of the colours of foreign images: red first, or blue first as OpenCV has them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.datasets.real_set import RealSet

# What no set of real images reached in 20,000 random draws from CIFAR-10 and SVHN, at 1 to 50
# images per class: evidence as the logarithm of a likelihood ratio, and in its standard errors.
_EVIDENCE, _ERRORS = 8.0, 4.0
# Colours are compared in so many fields along each side: skies are above, ground is below.
_FIELDS = 4
_CHUNK = 512


@dataclass(frozen=True)
class Colours:
    """How the colours of a set compare with those of its dataset.

    Attributes:
        here: red less blue of the set, averaged over its images; 1 is the range of pixels.
        error: the standard error of ``here`` over the images.
        there: red less blue of the dataset, likewise.
        evidence: for reversed colours against the dataset's own: the logarithm of the likelihood
            ratio; negative for the dataset's own.
        errors: ``evidence`` in its standard errors over the images.
    """

    here: float
    error: float
    there: float
    evidence: float
    errors: float

    @property
    def are_reversed(self) -> bool:
        """Return whether blue stands where red is expected, beyond reasonable doubt."""
        return self.evidence > _EVIDENCE and self.errors > _ERRORS

    @property
    def verdict(self) -> str:
        """Return in words what the images tell of their order."""
        if self.are_reversed:
            return "the reverse of the dataset's"
        return "as in the dataset" if self.evidence < -_EVIDENCE else "they do not tell the order"

    def __str__(self) -> str:
        """Say what was measured where the colours are reversed."""
        here, there = f"{self.here:.3f} ± {self.error:.3f}", f"{self.there:.3f}"
        averages = f"; red less blue is {here} on average, there {there}"
        # Normalised by numbers in their own order, images have the dataset's average all the same.
        differ = self.here * self.there < 0
        return (
            "the images' colours are the reverse of what their classes have in the dataset "
            f"(by {self.errors:.0f} standard errors{averages if differ else ''})"
        )


def compare_colours(pixels: Tensor, labels: Tensor, real: RealSet) -> Colours | None:
    """Compare red less blue of each image with what images of its class have in the dataset.

    Reversed images have the opposite difference. If they were normalised by numbers in their own
    order, only their distance from the dataset's average is the opposite. Both are considered, of
    coarse images, as a linear discriminant: real images are normal around the mean of their class,
    with one covariance (Fisher, "The use of multiple measurements in taxonomic problems", 1936).

    Args:
        pixels: ``(N, 3, H, W)`` in [0, 1], a little beyond it if they are learned.
        labels: int64 ``(N,)``.
        real: the training part of the dataset.

    Returns:
        The comparison, or ``None`` of images that do not have three channels, and of a single one.
    """
    if real.spec.channels != 3 or len(pixels) < 2:
        return None
    seen = _red_less_blue(pixels)
    reference = torch.cat(
        [_red_less_blue(chunk / 255) for chunk in torch.split(real.images, _CHUNK)]
    )
    average, classes = reference.mean(0), real.labels.cpu()
    counts = torch.bincount(classes, minlength=real.spec.num_classes).clamp(min=1)
    sums = torch.zeros(real.spec.num_classes, reference.shape[1], dtype=torch.float64)
    means = sums.index_add(0, classes, reference) / counts.unsqueeze(1)
    precision = _precision(reference - means[classes])
    expected = means[labels.cpu()]
    evidence, errors = max(
        _evidence_of_reversal(seen - middle, expected - middle, precision)
        for middle in (torch.zeros_like(average), average)
    )
    here = seen.mean(1)
    error = float(here.std()) / math.sqrt(len(here))
    return Colours(float(here.mean()), error, float(average.mean()), evidence, errors)


def _evidence_of_reversal(seen: Tensor, expected: Tensor, precision: Tensor) -> tuple[float, float]:
    """Return the log-likelihood ratio of ``-expected`` against ``expected``, and in its errors."""
    each = -2 * ((expected @ precision) * seen).sum(1)
    error = float(each.std().clamp(min=1e-12)) * math.sqrt(len(each))
    return float(each.sum()), float(each.sum()) / error


def _precision(deviations: Tensor) -> Tensor:
    """Return the inverse of a covariance, made regular by a thousandth of its diagonal."""
    covariance = deviations.T @ deviations / len(deviations)
    ridge = 1e-3 * covariance.diagonal().mean() + 1e-9
    inverse: Tensor = torch.linalg.inv(covariance + ridge * torch.eye(len(covariance)).double())
    return inverse


def _red_less_blue(pixels: Tensor) -> Tensor:
    """Return the first channel less the third, coarse: float64 ``(N, fields)``, on the CPU."""
    difference = pixels[:, 0].float() - pixels[:, 2].float()
    coarse = F.adaptive_avg_pool2d(difference, _FIELDS)
    fields: Tensor = coarse.flatten(1).double().cpu()
    return fields
