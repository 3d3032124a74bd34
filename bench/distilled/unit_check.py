"""A check of the units of a distilled set: images that were not normalised spoil every evaluation.

A set that was not normalised, or twice, is trained on and evaluated without an error, with a low
accuracy. Its moments give it away: they are those of the real images in another unit. Learned
images, noise and averages of images have moments of their own, but near no other unit's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.units import Moments
from bench.support.seeds import make_generator

# Real and distilled images on which moments are measured, at most.
_SAMPLE = 1000
# Another unit is likely if the moments are nearer to it than this, and by this factor nearer than
# to those of real images as networks see them. Averages of 10 images of CIFAR-10 come as near to
# [-1, 1] as 0.15, and images that CAFE has hardly begun to learn to normalising twice as 0.35: the
# range of their values rules these units out.
_NEAR, _NEARER = 0.5, 0.4
_OVERSHOOT = 0.02
_ADVICE = (
    "normalise(images, spec) of bench.plugin.datasets maps pixels in [0, 1] to normalised units"
)


@dataclass(frozen=True)
class _Unit:
    """Another unit in which the images may have been handed over.

    Attributes:
        advice: what it is, and how to repair it.
        moments: that training images then have.
        is_possible: whether the range of the values allows it.
        is_likely: whether the range alone suggests it.
    """

    advice: str
    moments: Moments
    is_possible: bool = True
    is_likely: bool = False

    def explains(self, seen: Moments, own: Moments) -> bool:
        """Return whether moments that were seen are rather this unit's than the set's own."""
        distance, expected = self.moments.distance(seen), own.distance(seen)
        if self.is_likely:
            return distance < expected
        return self.is_possible and distance < min(_NEAR, _NEARER * expected)


def describe_wrong_units(distilled: DistilledSet, real: RealSet) -> str | None:
    """Return what is wrong with the units of a distilled set and how to repair it, or ``None``.

    Args:
        distilled: the set; image sets of uint8 pixels have no choice of units.
        real: the training part of the dataset that it was made from.
    """
    images = _training_images(distilled)
    if images is None:
        return None
    pixels = real.images[:: max(1, len(real) // _SAMPLE)].float() / 255
    plain, seen = Moments.of(pixels.cpu()), Moments.of(images.cpu())
    if distilled.zca is None:
        own = _normalised(plain, real.spec)
    else:
        own = Moments.of(distilled.zca.whiten(pixels).cpu())
    for unit in _other_units(distilled, images, plain):
        if unit.explains(seen, own):
            return (
                f"its images have mean {_numbers(seen.mean)} and standard deviation "
                f"{_numbers(seen.std)}, real images {_numbers(own.mean)} and {_numbers(own.std)}: "
                f"{unit.advice}"
            )
    return None


@torch.no_grad()
def _training_images(distilled: DistilledSet) -> Tensor | None:
    """Return images as networks are trained on them; ``None`` where they are stored as bytes."""
    if isinstance(distilled, GeneratorSet):
        labels = distilled.balanced_labels(max(1, 100 // distilled.spec.num_classes))[:_SAMPLE]
        return distilled.draw(labels, make_generator(0, distilled.device))
    if distilled.kind not in ("image", "factored"):
        return None
    images = distilled.tensors()["images"]
    if images.dtype != torch.float32:
        return None
    generator = make_generator(0, images.device)
    shown, _ = distilled.source(distilled.modes[0], None, generator).epoch(generator)
    return shown[:: max(1, len(shown) // _SAMPLE)]


def _other_units(distilled: DistilledSet, images: Tensor, pixels: Moments) -> list[_Unit]:
    """Return the units in which the images may have been handed over by mistake."""
    spec = distilled.spec
    if isinstance(distilled, GeneratorSet):
        shifted = _normalised(Moments((pixels.mean + 1) / 2, pixels.std / 2), spec)
        return [_Unit("the generator draws pixels in [0, 1], and not in [-1, 1]", shifted)]
    twice = _normalised(_normalised(pixels, spec), spec)
    if distilled.kind == "factored":
        in_bytes = _normalised(_scaled(pixels, 255), spec)
        rule = "a factored set holds pixels in [0, 1]"
        return [_Unit(f"they are normalised; {rule}", twice),
                _Unit(f"they are pixels in 0..255; {rule}", in_bytes)]  # fmt: skip
    low, high = float(images.min()), float(images.max())
    positive = low >= -_OVERSHOOT
    half = Moments(2 * pixels.mean - 1, 2 * pixels.std)
    darkest, brightest = (_normalised_twice(value, spec) for value in (0.0, 1.0))
    return [
        _Unit(f"they are pixels in [0, 1]; {_ADVICE}", pixels,
              is_possible=low > -1 and high < 2,
              is_likely=positive and high <= 1 + _OVERSHOOT),
        _Unit(f"they are pixels in 0..255; divide by 255, then {_ADVICE}", _scaled(pixels, 255),
              is_possible=low > -16, is_likely=positive and high > 16),
        _Unit(f"they are pixels in [-1, 1]; map them to [0, 1], then {_ADVICE}", half,
              is_possible=_fills(low, high, -1.0, 1.0)),
        _Unit("they were normalised twice", twice,
              is_possible=_fills(low, high, float(darkest.min()), float(brightest.max()))),
    ]  # fmt: skip


def _fills(low: float, high: float, darkest: float, brightest: float) -> bool:
    """Return whether values range from the darkest to the brightest pixel, and no farther."""
    room = _OVERSHOOT * (brightest - darkest)
    return abs(low - darkest) <= room and abs(high - brightest) <= room


def _normalised_twice(pixel: float, spec: DatasetSpec) -> Tensor:
    """Return the value of a pixel, for each channel, after it was normalised twice."""
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    return ((pixel - mean) / std - mean) / std


def _normalised(moments: Moments, spec: DatasetSpec) -> Moments:
    """Return the moments of images after they were normalised as the dataset's are."""
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (spec.mean, spec.std))
    return Moments((moments.mean - mean) / std, moments.std / std)


def _scaled(moments: Moments, factor: float) -> Moments:
    return Moments(moments.mean * factor, moments.std * factor)


def _numbers(values: Tensor) -> str:
    return ", ".join(f"{value:.2f}" for value in values.tolist())
