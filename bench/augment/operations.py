"""The operations that a DSA strategy can name, each a sequence of Kornia augmentations."""

from __future__ import annotations

from bench.augment.base import Operation
from bench.augment.geometric import Crop, Flip, Rotate, Scale
from bench.augment.intensity import Brightness, Contrast, Cutout, Saturation

__all__ = [
    "OPERATIONS",
    "Brightness",
    "Contrast",
    "Crop",
    "Cutout",
    "Flip",
    "Operation",
    "Rotate",
    "Saturation",
    "Scale",
]

OPERATIONS: dict[str, tuple[type[Operation], ...]] = {
    "color": (Brightness, Saturation, Contrast),
    "crop": (Crop,),
    "cutout": (Cutout,),
    "flip": (Flip,),
    "scale": (Scale,),
    "rotate": (Rotate,),
}
"""The augmentations of each name in a strategy, in the order in which they are applied."""
