"""The parameter that names a method's augmentations."""

from __future__ import annotations

from typing import Any

from bench.plugin import param
from bench.plugin.compute import parse_strategy


def dsa_param(
    default: Any = "color_crop_cutout_flip_scale_rotate",
    help: str = "of color, crop, cutout, flip, scale, rotate, joined by '_' (flip is left out for "
    "digits), or none",
) -> Any:
    """Declare it; by default the whole strategy of DSA's paper.

    Args:
        default: names of operations joined by ``_``, ``none``, or a rule for them.
        help: one line that says what is augmented.
    """
    return param(default, help=help, check=parse_strategy)
