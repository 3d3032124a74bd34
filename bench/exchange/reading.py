"""How a foreign set is read: each property detected or given, stated, and checked.

The commonest way to get a wrong number from a published set is to forget how it was stored: its
normalisation, its whitening, its learned rate, its soft labels. Nothing is assumed silently here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.labels import hard_labels
from bench.distilled.units import (
    BYTES,
    WHITENED,
    KnownUnits,
    to_normalised,
    to_pixels,
)
from bench.exchange.channels import channels_first
from bench.exchange.class_names import match_classes
from bench.exchange.findings import Fact, Findings
from bench.exchange.given import BGR, Given
from bench.exchange.label_forms import Labels, read_labels
from bench.exchange.made_with import MadeWith
from bench.exchange.oddities import warn_of_oddities
from bench.exchange.raw_set import RawSet
from bench.exchange.unit_search import FoundUnit, find_unit
from bench.support.errors import BenchError
from bench.support.untrusted import check_fits_memory


@dataclass(frozen=True)
class Reading:
    """A foreign set in bench's form, and how it was read.

    Attributes:
        distilled: the set.
        facts: what was detected or given.
        warnings: what looks wrong, with its likely cause.
        made_with: the network that it was made with, if the source tells.
    """

    distilled: DistilledSet
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]
    made_with: MadeWith | None = None

    def beside(self, more: Findings) -> Reading:
        """Return the reading with what was found out beside it."""
        facts, warnings = (*self.facts, *more.facts), (*self.warnings, *more.warnings)
        return replace(self, facts=facts, warnings=warnings)

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
    findings = reader.findings
    warn_of_oddities(distilled, real, findings)
    return Reading(distilled, tuple(findings.facts), tuple(findings.warnings), raw.made_with)


@dataclass
class _Reader:
    raw: RawSet
    known: KnownUnits
    real: RealSet
    given: Given
    findings: Findings = field(default_factory=Findings)

    def distilled(self) -> DistilledSet:
        """Return the set; the facts and first warnings are then known."""
        spec, raw = self.real.spec, self.raw
        # A tensor in a file can be one number seen a billion times, by strides of 0.
        check_fits_memory(8 * raw.images.numel())
        self.findings.state("layout", raw.layout)
        self.findings.state("stored as", f"{tuple(raw.images.shape)} {raw.images.dtype}"[:80])
        if raw.made_with is not None:
            self.findings.state("made with", str(raw.made_with))
        asked = self.given.channels
        images, order = channels_first(raw.images, spec, raw.place, asked)
        self.findings.state("channel order", order, asked is not None)
        if asked == BGR and raw.zca is not None:
            raw = replace(raw, zca=raw.zca.reversed(spec.channels))
        if len(images) == 0:
            raise BenchError(f"'{raw.place}' holds no images")
        labels = self._labels(len(images))
        factor = self._factor()
        unit = find_unit(raw, images, self.known, self.given, self.findings)
        rate = self._learning_rate()
        if factor > 1:
            return self._factored(images, labels, unit, factor)
        if unit.name == BYTES:
            values = _whole(images)
        elif unit.name == WHITENED:
            values = images.float()
        else:
            values = to_normalised(images, unit.mean, unit.std, spec)
        return ImageSet(
            spec, values.contiguous(), labels.values, {}, learning_rate=rate,
            epochs=self.given.epochs or raw.epochs, zca=unit.zca, label_kind=labels.kind,
            temperature=self.given.temperature or raw.temperature,
        )  # fmt: skip

    def _factored(
        self, images: Tensor, labels: Labels, unit: FoundUnit, factor: int
    ) -> FactoredSet:
        """Return a set that stores several images in one."""
        place, spec = self.raw.place, self.real.spec
        if labels.kind != "hard":
            raise BenchError(f"'{place}': a factored set has hard labels, not {labels.form}")
        if unit.zca is not None:
            raise BenchError(f"'{place}': a factored set holds pixels, not ZCA-whitened images")
        if unit.name == BYTES:
            pixels = _whole(images)
        else:
            pixels = to_pixels(images, unit.mean, unit.std).float()
        return FactoredSet(spec, pixels, labels.values, factor, {})

    def _labels(self, count: int) -> Labels:
        spec, raw = self.real.spec, self.raw
        given, how = raw.labels, ""
        if raw.class_names and given.ndim == 1 and not given.dtype.is_floating_point:
            given, how = self._by_name(given)
        labels = read_labels(given, count, spec.num_classes, raw.place)
        self.findings.state("labels", f"{labels.form}{how}")
        counts = torch.bincount(hard_labels(labels.values), minlength=spec.num_classes)
        low, high = int(counts.min()), int(counts.max())
        balance = f"{low}" if low == high else f"{low} to {high}, unbalanced"
        self.findings.state("images per class", balance)
        if low == 0:
            absent = int((counts == 0).sum())
            self.findings.warn(f"{absent} of {spec.num_classes} classes have no image")
        return labels

    def _by_name(self, labels: Tensor) -> tuple[Tensor, str]:
        """Return labels as classes of the dataset, by the names that the source has for them."""
        matched = match_classes(self.raw.class_names, self.real.spec, self.raw.place)
        if matched.warning is not None:
            self.findings.warn(matched.warning)
        index = torch.tensor(matched.classes)
        values = labels.to(torch.int64)
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < len(index):
            raise BenchError(
                f"'{self.raw.place}' has labels from {int(values.min())} to {int(values.max())}, "
                f"and names for {len(index)} classes"
            )
        return index[values], f", {matched.how}" if matched.how else ""

    def _factor(self) -> int:
        factor = self.given.factor or self.raw.factor or 1
        if factor > 1:
            self.findings.state(
                "factor", f"{factor}x{factor} images in one", self.given.factor is not None
            )
        return factor

    def _learning_rate(self) -> float | None:
        rate = self.raw.learning_rate if self.given.learning_rate is None \
            else self.given.learning_rate  # fmt: skip
        text = "the protocol's" if rate is None else f"{rate:g}"
        self.findings.state("learning rate", text, self.given.learning_rate is not None)
        if rate is None and self.raw.learns_rate:
            self.findings.warn(
                "methods that publish this layout learn a rate with the images, and the source has "
                "none: the protocol's is used; give the learned one with --lr"
            )
        return rate


def _whole(images: Tensor) -> Tensor:
    """Return pixels in 0..255 as bytes."""
    return images.round().clamp(0, 255).to(torch.uint8)
