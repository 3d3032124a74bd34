"""The unit of foreign images: given by the user, or detected and checked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.datasets.zca import ZCA
from bench.distilled.units import (
    BYTES,
    IMAGENET,
    PIXELS,
    UNITS,
    WHITENED,
    KnownUnits,
    Moments,
    affine,
    parse_unit,
)
from bench.exchange.findings import Findings
from bench.exchange.given import Given
from bench.exchange.raw_set import RawSet
from bench.support.errors import BenchError, unknown_message

# Learned pixels overshoot a little; bytes stored as floats reach far beyond 1.
_OVERSHOOT, _SURELY_BYTES = 0.02, 8.0
# Distances between moments, see bench.distilled.units: what is far, and what is too near to tell.
_FAR, _TOO_NEAR = 0.75, 0.1


@dataclass(frozen=True)
class FoundUnit:
    """The unit of a set of images.

    Attributes:
        name: one of :data:`bench.distilled.units.UNITS`, or ``custom``.
        mean: float64 ``(C,)``: a value in the unit is ``(pixel - mean) / std``.
        std: likewise.
        zca: the statistics that whiten the images before training, if any.
    """

    name: str
    mean: Tensor
    std: Tensor
    zca: ZCA | None = None


def find_unit(
    raw: RawSet, images: Tensor, known: KnownUnits, given: Given, findings: Findings
) -> FoundUnit:
    """Return the unit of images, and state how it was found.

    Args:
        raw: the set as its file holds it.
        images: its images, ``(N, C, H, W)``, float.
        known: the units of the dataset.
        given: what the user says.
        findings: receives the facts and warnings.

    Raises:
        BenchError: an option is wrong or does not fit the images, or they are not finite.
    """
    if not bool(images.isfinite().all()):
        raise BenchError(f"'{raw.place}' holds images with NaN or infinity")
    return _Search(raw, images, known, given, findings).unit()


@dataclass(frozen=True)
class _Search:
    raw: RawSet
    images: Tensor
    known: KnownUnits
    given: Given
    findings: Findings

    def unit(self) -> FoundUnit:
        asked, spec = self._asked(), self.known.spec
        if asked is not None and "/" in asked:
            try:
                mean, std = parse_unit(asked, spec)
            except ValueError as error:
                raise BenchError(f"normalisation '{asked}' cannot be read: {error}") from None
            self.findings.state("values", f"normalised with {asked}", given=True)
            self._compare(self.known.normalised(mean, std), f"normalised with {asked}")
            return FoundUnit("custom", mean, std)
        if asked is not None and asked not in UNITS:
            raise BenchError(
                f"{unknown_message('normalisation', asked, UNITS)} MEAN/STD is allowed too."
            )
        if asked == IMAGENET and spec.channels != 3:
            raise BenchError(
                f"--normalisation imagenet is for images of 3 channels, those of {spec.name} have "
                f"{spec.channels}: give its numbers as MEAN/STD"
            )
        low, high = (float(value) for value in torch.aminmax(self.images))
        unit = asked or self._detected(low, high)
        self.findings.state("values", UNITS[unit], asked is not None)
        self.findings.state("range", f"{low:.3g} to {high:.3g}")
        zca = self._zca(unit)
        self._check_moments(unit, zca)
        return FoundUnit(unit, *affine(unit, spec), zca)

    def _asked(self) -> str | None:
        """Return the unit that the user names; ``None`` if it is to be detected."""
        asked = self.given.normalisation
        if self.given.zca and asked not in (None, WHITENED):
            raise BenchError(f"--zca does not go with --normalisation {asked}")
        if self.given.zca is False and asked == WHITENED:
            raise BenchError("--zca no does not go with --normalisation zca")
        whitened = WHITENED if self.given.zca else asked
        if whitened != WHITENED or self.raw.images.dtype != torch.uint8:
            return whitened
        if self.raw.zca is None:
            raise BenchError(f"'{self.raw.place}' holds bytes, which cannot be whitened images")
        return BYTES  # real images of a whitened set: they are whitened when they are used

    def _detected(self, low: float, high: float) -> str:
        if self.raw.images.dtype == torch.uint8:
            return BYTES
        if self.raw.zca is not None and self.given.zca is not False:
            return WHITENED
        if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
            return PIXELS
        if low >= 0 and high > _SURELY_BYTES:
            if self.raw.images.dtype.is_floating_point:
                self.findings.warn(
                    f"the images are {self.raw.images.dtype} from {low:g} to {high:g}: read as "
                    "bytes that were stored as floats"
                )
            return BYTES
        return self._nearest()

    def _nearest(self) -> str:
        """Return the unit in which real images have moments nearest to those of the images."""
        with_zca = self.given.zca is not False
        distances = self.known.distances(self.images, with_zca=with_zca)
        (best, distance), (second, runner_up) = list(distances.items())[:2]
        listing = ", ".join(f"{unit} {value:.2f}" for unit, value in distances.items())
        self.findings.state("distance to real images", listing)
        if distance <= _FAR and runner_up - distance < _TOO_NEAR:
            self.findings.warn(
                f"'{best}' and '{second}' fit the images about equally well: give --normalisation"
            )
        return best

    def _zca(self, unit: str) -> ZCA | None:
        """Return the statistics that whiten the set: its own, or those of the training set."""
        own = None if self.given.zca is False else self.raw.zca
        if unit not in (WHITENED, BYTES) or (unit == BYTES and own is None):
            return None
        if own is not None:
            self.findings.state("ZCA", "statistics in the source")
            return own
        self.findings.state("ZCA", "statistics of the training set, computed here")
        self.findings.warn(
            "the source has no ZCA statistics: those of the training set are computed here; if "
            "its authors whitened in another way, the number is wrong"
        )
        return self.known.zca

    def _check_moments(self, unit: str, zca: ZCA | None) -> None:
        """Warn if the images' statistics are not those that real images have in their unit."""
        known = self.known
        own = zca is not None and zca is self.raw.zca and unit == WHITENED
        expected = known.whitened(zca) if own and zca is not None else known.moments(unit)
        cause = "wrong ZCA statistics" if unit == WHITENED else "another normalisation"
        self._compare(expected, UNITS[unit], cause)

    def _compare(self, expected: Moments, unit: str, cause: str = "another normalisation") -> None:
        """Warn if the images' mean and std are far from the expected ones."""
        distance = expected.distance(Moments.of(self.images))
        if distance <= _FAR:
            return
        self.findings.warn(
            f"read as {unit}, the images' mean and std are far from those of the "
            f"dataset (distance {distance:.2f}): wrong dataset, or {cause}? See --normalisation "
            "and --zca"
        )
