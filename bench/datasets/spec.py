"""The description of a dataset: everything but its pixels and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


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

    name: str
    num_classes: int
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    class_names: tuple[str, ...] = ()
    note: str = ""

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
        """Return the spec that :meth:`to_json` described.

        Raises:
            TypeError: a field is missing or unknown. Values are not checked: see
                :func:`bench.datasets.checks.check_spec`.
        """
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items()
        }
        return cls(**fields)
