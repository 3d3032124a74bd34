"""A made-up image set."""

from __future__ import annotations

from typing import Any

import torch
from toy_generator import SPEC

from bench.distilled.image_set import ImageSet
from bench.support.seeds import make_generator


def image_set(**rest: Any) -> ImageSet:
    images = torch.randn(6, *SPEC.shape, generator=make_generator(0))
    return ImageSet(SPEC, images, torch.arange(3).repeat_interleave(2), {"id": "x"}, **rest)
