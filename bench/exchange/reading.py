"""How a foreign set is read: each property detected or given, stated, and checked.

The commonest way to get a wrong number from a published set is to forget how it was stored: its
normalisation, its whitening, its learned rate, its soft labels. Nothing is assumed silently here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet, normalise
from bench.datasets.zca import ZCA
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.labels import hard_labels
from bench.distilled.units import (
    BYTES,
    DATASET,
    PIXELS,
    UNITS,
    WHITENED,
    KnownUnits,
    Moments,
    affine,
    parse_unit,
    to_normalised,
    to_pixels,
)
from bench.exchange.channels import channels_first
from bench.exchange.given import Given
from bench.exchange.label_forms import Labels, agreement, read_labels
from bench.exchange.raw_set import RawSet
from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import check_fits_memory

# Learned pixels overshoot a little; bytes stored as floats reach far beyond 1.
_OVERSHOOT, _SURELY_BYTES = 0.02, 8.0
# Distances between moments, see bench.distilled.units: what is far, and what is too near to tell.
_FAR, _TOO_NEAR = 0.75, 0.1
# A share of pixels outside [0, 1] that no published method reaches on its dataset.
_OUTSIDE, _MARGIN = 0.25, 0.25
_RENAMED_GAIN, _NEAR_CHANCE = 0.25, 1.5


@dataclass(frozen=True)
class Fact:
    """One property of a foreign set: its name, its value, and whether it was detected or given."""

    name: str
    value: str
    how: str


@dataclass(frozen=True)
class Reading:
    """A foreign set in bench's form, and how it was read.

    Attributes:
        distilled: the set.
        facts: what was detected or given.
        warnings: what looks wrong, with its likely cause.
    """

    distilled: DistilledSet
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, list[object]]:
        """Return plain JSON values, for the record."""
        facts: list[object] = [{"name": f.name, "value": f.value, "how": f.how} for f in self.facts]
        return {"facts": facts, "warnings": list(self.warnings)}


def read(raw: RawSet, real: RealSet, given: Given | None = None) -> Reading:
    """Interpret a foreign set.

    Args:
        raw: as its file holds it.
        real: the training part of the dataset that it distils.
        given: what the user says of it.

    Raises:
        BenchError: it does not fit the dataset, or an option is wrong.
    """
    reader = _Reader(raw, KnownUnits(real), real, given or Given())
    try:
        distilled = reader.distilled()
    except ValueError as error:
        raise BenchError(f"'{raw.place}' cannot be read: {error}") from error
    reader.check(distilled)
    return Reading(distilled, tuple(reader.facts), tuple(reader.warnings))


@dataclass
class _Reader:
    raw: RawSet
    known: KnownUnits
    real: RealSet
    given: Given
    facts: list[Fact] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def distilled(self) -> DistilledSet:
        """Return the set; the facts and first warnings are then known."""
        spec, raw = self.real.spec, self.raw
        # A tensor in a file can be one number seen a billion times, by strides of 0.
        check_fits_memory(8 * raw.images.numel())
        self._state("layout", raw.layout, given=False)
        self._state("stored as", f"{tuple(raw.images.shape)} {raw.images.dtype}"[:80], given=False)
        images, order = channels_first(raw.images, spec, raw.place)
        self._state("channels", order, given=False)
        if len(images) == 0:
            raise BenchError(f"'{raw.place}' holds no images")
        labels = self._labels(len(images))
        factor = self._factor()
        unit, mean, std = self._unit(images)
        rate = self._learning_rate()
        if factor > 1:
            if labels.kind != "hard":
                raise BenchError(
                    f"'{raw.place}': a factored set has hard labels, not {labels.form}"
                )
            pixels = to_pixels(images, mean, std).float()
            return FactoredSet(spec, pixels, labels.values, factor, {})
        zca = self._zca() if unit == WHITENED else None
        if unit == BYTES:
            values = images.round().clamp(0, 255).to(torch.uint8)
        else:
            values = images.float() if zca else to_normalised(images, mean, std, spec)
        return ImageSet(
            spec, values.contiguous(), labels.values, {}, learning_rate=rate,
            epochs=self.given.epochs or raw.epochs, zca=zca, label_kind=labels.kind,
            temperature=self.given.temperature or raw.temperature,
        )  # fmt: skip

    def check(self, distilled: DistilledSet) -> None:
        """Warn of what looks wrong in the set as it was read."""
        if not isinstance(distilled, ImageSet):
            return
        pixels = distilled.images
        if distilled.zca is None and pixels.dtype == torch.float32:
            unscaled = to_pixels(pixels, *affine(DATASET, self.real.spec))
            outside = ((unscaled < -_MARGIN) | (unscaled > 1 + _MARGIN)).double().mean()
            if float(outside) > _OUTSIDE:
                self._warn(
                    f"{float(outside):.0%} of the pixels lie far outside [0, 1]: is the "
                    "normalisation right?"
                )
        self._check_order(distilled)

    def _labels(self, count: int) -> Labels:
        spec = self.real.spec
        labels = read_labels(self.raw.labels, count, spec.num_classes, self.raw.place)
        if self.raw.class_names:
            labels = self._renamed(labels)
        self._state("labels", labels.form, given=False)
        counts = torch.bincount(hard_labels(labels.values), minlength=spec.num_classes)
        low, high = int(counts.min()), int(counts.max())
        balance = f"{low}" if low == high else f"{low} to {high}, unbalanced"
        self._state("images per class", balance, given=False)
        if low == 0:
            absent = int((counts == 0).sum())
            self._warn(f"{absent} of {spec.num_classes} classes have no image")
        return labels

    def _renamed(self, labels: Labels) -> Labels:
        """Match the source's class names with the dataset's, whose order can differ."""
        names, ours = self.raw.class_names, self.real.spec.class_names
        if labels.kind != "hard" or names == ours or not ours or set(names) - set(ours):
            return labels
        index = torch.tensor([ours.index(name) for name in names])
        form = f"{labels.form}, renumbered by class name"
        return Labels(index[labels.values], labels.kind, form)

    def _factor(self) -> int:
        factor = self.given.factor or self.raw.factor or 1
        if factor > 1:
            self._state("factor", f"{factor}x{factor} images in one", self.given.factor is not None)
        return factor

    def _learning_rate(self) -> float | None:
        rate = self.raw.learning_rate if self.given.learning_rate is None \
            else self.given.learning_rate  # fmt: skip
        text = "the protocol's" if rate is None else f"{rate:g}"
        self._state("learning rate", text, self.given.learning_rate is not None)
        if rate is None and self.raw.learns_rate:
            self._warn(
                "methods that publish this layout learn a rate with the images, and the source has "
                "none: the protocol's is used; give the learned one with --lr"
            )
        return rate

    def _unit(self, images: Tensor) -> tuple[str, Tensor, Tensor]:
        """Return the unit of the images with its mean and std."""
        asked, spec = self.given.normalisation, self.real.spec
        if self.given.zca:
            if asked not in (None, WHITENED):
                raise BenchError(f"--zca does not go with --normalisation {asked}")
            asked = WHITENED
        if asked == WHITENED and self.raw.images.dtype == torch.uint8:
            raise BenchError(f"'{self.raw.place}' holds bytes, which cannot be whitened images")
        if asked is not None and "/" in asked:
            try:
                mean, std = parse_unit(asked, spec)
            except ValueError as error:
                raise BenchError(f"normalisation '{asked}' cannot be read: {error}") from None
            self._state("values", f"normalised with {asked}", given=True)
            return "custom", mean, std
        if asked is not None and asked not in UNITS:
            raise BenchError(
                f"{unknown_message('normalisation', asked, UNITS)} MEAN/STD is allowed too."
            )
        unit = asked or self._detected_unit(images)
        self._state("values", UNITS[unit], asked is not None)
        low, high = (float(f(images)) for f in (torch.min, torch.max))
        self._state("range", f"{low:.3g} to {high:.3g}", given=False)
        self._check_moments(images, unit)
        return unit, *affine(unit, spec)

    def _zca(self) -> ZCA:
        """Return the statistics that whiten the set: its own, or those of the training set."""
        if self.raw.zca is not None:
            self._state("ZCA", "statistics in the source", given=False)
            return self.raw.zca
        self._state("ZCA", "statistics of the training set, computed here", given=False)
        self._warn(
            "the source has no ZCA statistics: those of the training set are computed here; if "
            "its authors whitened in another way, the number is wrong"
        )
        return self.known.zca

    def _check_moments(self, images: Tensor, unit: str) -> None:
        """Warn if the images' statistics are not those that real images have in their unit."""
        distance = self.known.moments(unit).distance(Moments.of(images))
        if distance > _FAR:
            self._warn(
                f"read as {UNITS[unit]}, the images' mean and std are far from those of the "
                f"dataset (distance {distance:.2f}): wrong dataset, or another normalisation? See "
                "--normalisation"
            )

    def _detected_unit(self, images: Tensor) -> str:
        if self.raw.zca is not None and self.given.zca is not False:
            return WHITENED
        if self.raw.images.dtype == torch.uint8:
            return BYTES
        if not bool(images.isfinite().all()):
            raise BenchError(f"'{self.raw.place}' holds images with NaN or infinity")
        low, high = (float(f(images)) for f in (torch.min, torch.max))
        if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
            return PIXELS
        if low >= 0 and high > _SURELY_BYTES:
            self._warn(
                f"the images are {self.raw.images.dtype} from {low:g} to {high:g}: read as bytes "
                "that were stored as floats"
            )
            return BYTES
        distances = self.known.distances(images, with_zca=self.given.zca is not False)
        (best, distance), (second, runner_up) = list(distances.items())[:2]
        listing = ", ".join(f"{unit} {value:.2f}" for unit, value in distances.items())
        self._state("distance to real images", listing, given=False)
        if distance <= _FAR and runner_up - distance < _TOO_NEAR:
            self._warn(
                f"'{best}' and '{second}' fit the images about equally well: give --normalisation"
            )
        return best

    def _check_order(self, distilled: ImageSet) -> None:
        """Warn if the images look like those of the dataset under other labels."""
        labels = hard_labels(distilled.labels)
        shares = agreement(_as_normalised(distilled), labels, self.real)
        if shares is None:
            return
        here, best = shares
        chance = 1 / self.real.spec.num_classes
        self._state("agreement with a linear classifier", f"{here:.0%}", given=False)
        if best - here >= _RENAMED_GAIN and here <= _NEAR_CHANCE * chance:
            self._warn(
                f"a linear classifier of real images agrees with {here:.0%} of the labels, and "
                f"with {best:.0%} if the classes are renamed: are they in another order?"
            )

    def _state(self, name: str, value: str, given: bool) -> None:
        self.facts.append(Fact(name, value, "given" if given else "detected"))

    def _warn(self, text: str) -> None:
        self.warnings.append(text)


def _as_normalised(distilled: ImageSet) -> Tensor:
    """Return the images of a set in normalised units, whatever it stores."""
    images = distilled.images
    if distilled.zca is not None:
        return normalise(distilled.zca.unwhiten(images), distilled.spec)
    return normalise(images, distilled.spec) if images.dtype == torch.uint8 else images
