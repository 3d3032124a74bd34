"""What is known of a dataset without opening its pixels."""

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
        height: pixels.
        width: pixels.
        mean: per channel, of pixels scaled to [0, 1].
        std: per channel, of pixels scaled to [0, 1].
        flip: whether a mirrored image keeps its label (false for digits); DSA leaves out flip if
            not.
        class_names: one per label.
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
        """``(channels, height, width)``."""
        return (self.channels, self.height, self.width)

    @property
    def pixels(self) -> int:
        """Values per image, which is also its bytes as uint8."""
        return self.channels * self.height * self.width

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of :meth:`from_json`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DatasetSpec:
        """Rebuild a spec from :meth:`to_json`."""
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items()
        }
        return cls(**fields)
