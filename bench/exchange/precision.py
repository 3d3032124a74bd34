"""The precision in which the images of a set are stored: float32, float16, or bytes."""

from __future__ import annotations

from dataclasses import replace

import torch

from bench.datasets.real_set import denormalise
from bench.distilled.base import DistilledSet
from bench.distilled.image_set import ImageSet
from bench.support.errors import BenchError


def in_precision(distilled: DistilledSet, precision: str | None) -> DistilledSet:
    """Return a set whose images are stored in another precision.

    Bytes are pixels: values beyond the pixel range are cut, the others rounded to 1/255. Whitened
    images have no pixel range, so they cannot be bytes.

    Args:
        distilled: any set; only images can be converted.
        precision: one of :data:`bench.exchange.given.IMAGE_TYPES`; ``None`` for no change.

    Raises:
        BenchError: the set has no images, or cannot be stored so.
    """
    if precision is None:
        return distilled
    if not isinstance(distilled, ImageSet):
        raise BenchError(f"a {distilled.kind} set cannot be stored as {precision}: only images can")
    images = distilled.images
    if precision == "uint8":
        if distilled.zca is not None:
            raise BenchError("whitened images cannot be stored as uint8: they are no pixels")
        if images.dtype != torch.uint8:
            pixels = denormalise(images.float(), distilled.spec).mul(255).round()
            images = pixels.to(torch.uint8)
    elif images.dtype == torch.uint8:
        raise BenchError(f"images of 8 bits gain nothing by being stored as {precision}")
    else:
        images = images.to(torch.float16 if precision == "float16" else torch.float32)
    return replace(distilled, images=images)
