"""The description of a dataset: everything but its pixels and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

import msgspec

from bench.support.untrusted import Limit

# A note can be twice as long as the user's, because an import adds to it.
Text = Annotated[str, msgspec.Meta(max_length=2 * Limit.NOTE_LETTERS)]
Count = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True)
class DatasetSpec:
    """A labelled image dataset: its name, its shape and how it is normalised.

    Attributes:
        name: the registered or imported name, lower case.
        num_classes: labels run from 0 to ``num_classes - 1``.
        channels: 1 (grey) or 3 (RGB).
        height: height of an image in pixels.
        width: width of an image in pixels.
        mean: mean of each channel, of pixels scaled to [0, 1].
        std: standard deviation of each channel, of pixels scaled to [0, 1].
        flip: whether a mirrored image keeps its label (false for digits); if not, DSA does not
            flip.
        class_names: one per label, or empty.
        note: what a reader must know before quoting a number ("went through JPEG"); may be empty.
    """

    name: Text
    num_classes: Annotated[int, msgspec.Meta(ge=1, le=Limit.CLASSES)]
    channels: Count
    height: Count
    width: Count
    mean: tuple[Annotated[float, msgspec.Meta(ge=0, le=1)], ...]
    std: tuple[Annotated[float, msgspec.Meta(gt=0, le=1)], ...]
    flip: bool
    class_names: tuple[Text, ...] = ()
    note: Text = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(channels, height, width)``."""
        return (self.channels, self.height, self.width)

    @property
    def pixels(self) -> int:
        """Return the number of values in an image, which is also its size as uint8 in bytes."""
        return self.channels * self.height * self.width

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of :meth:`from_json`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DatasetSpec:
        """Return the spec that :meth:`to_json` described; a file can claim anything.

        Raises:
            ValueError: a field is missing, unknown, of another type or out of its bounds.
        """
        unknown = data.keys() - {each.name for each in fields(cls)}
        if unknown:
            raise ValueError(f"a spec has no field {', '.join(sorted(unknown))!r:.100}")
        spec = msgspec.convert(data, cls)
        if spec.channels not in (1, 3):
            raise ValueError(f"channels is {spec.channels}, not 1 or 3")
        if spec.pixels > Limit.VALUES_PER_IMAGE:
            raise ValueError(f"images hold more than {Limit.VALUES_PER_IMAGE:,} values")
        for name in ("mean", "std"):
            if len(getattr(spec, name)) != spec.channels:
                raise ValueError(f"{name} does not have one number per channel")
        if len(spec.class_names) not in (0, spec.num_classes):
            raise ValueError(f"class_names are not one text for each of {spec.num_classes} classes")
        return spec
