"""What looks wrong in a foreign set as it was read: its range, its colours, its classes."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet, normalise
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.labels import hard_labels
from bench.distilled.units import DATASET, affine, to_pixels
from bench.exchange.colours import compare_colours
from bench.exchange.findings import Findings
from bench.exchange.label_forms import agreement

# A share of pixels outside [0, 1] that no published method reaches on its dataset.
_OUTSIDE, _MARGIN = 0.25, 0.25
_RENAMED_GAIN, _NEAR_CHANCE = 0.25, 1.5


def warn_of_oddities(distilled: DistilledSet, real: RealSet, findings: Findings) -> None:
    """Warn of what looks wrong in a set, and state what was compared.

    Args:
        distilled: the set as it was read.
        real: the training part of the dataset that it distils.
        findings: gets the facts and warnings.
    """
    if isinstance(distilled, FactoredSet):
        _check_colours(distilled.pixels, distilled.labels, real, findings)
    if not isinstance(distilled, ImageSet):
        return
    normalised, labels = _as_normalised(distilled), hard_labels(distilled.labels)
    pixels = to_pixels(normalised, *affine(DATASET, real.spec))
    if distilled.zca is None and distilled.images.dtype == torch.float32:
        _check_range(pixels, findings)
    _check_colours(pixels, labels, real, findings)
    _check_order(normalised, labels, real, findings)


def _check_range(pixels: Tensor, findings: Findings) -> None:
    """Warn if many pixels lie where no image has any."""
    outside = float(((pixels < -_MARGIN) | (pixels > 1 + _MARGIN)).double().mean())
    if outside > _OUTSIDE:
        findings.warn(
            f"{outside:.0%} of the pixels lie far outside [0, 1]: is the normalisation right?"
        )


def _check_colours(pixels: Tensor, labels: Tensor, real: RealSet, findings: Findings) -> None:
    """Warn if blue stands where red is expected."""
    colours = compare_colours(pixels, labels, real)
    if colours is None:
        return
    findings.state("colours", colours.verdict)
    if colours.are_reversed:
        findings.warn(f"{colours}: are the channels stored blue first? See --channels")


def _check_order(normalised: Tensor, labels: Tensor, real: RealSet, findings: Findings) -> None:
    """Warn if the images look like those of the dataset under other labels."""
    shares = agreement(normalised, labels, real)
    if shares is None:
        return
    here, best = shares
    findings.state("agreement with a linear classifier", f"{here:.0%}")
    if best - here >= _RENAMED_GAIN and here <= _NEAR_CHANCE / real.spec.num_classes:
        findings.warn(
            f"a linear classifier of real images agrees with {here:.0%} of the labels, and "
            f"with {best:.0%} if the classes are renamed: are they in another order?"
        )


def _as_normalised(distilled: ImageSet) -> Tensor:
    """Return the images of a set in normalised units, whatever it stores."""
    images = distilled.images
    if images.dtype == torch.uint8:
        return normalise(images, distilled.spec)
    if distilled.zca is not None:
        return normalise(distilled.zca.unwhiten(images), distilled.spec)
    return images
