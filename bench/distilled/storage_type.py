"""The type in which the images of a set are stored: float32, float16, or bytes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.datasets.real_set import denormalise
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.support.errors import BenchError

_TYPES = {"float32": torch.float32, "float16": torch.float16, "uint8": torch.uint8}


class NotStorableError(BenchError):
    """A set cannot be stored in a type, or gains nothing by it."""


def stored_as(distilled: DistilledSet, kind: str) -> DistilledSet:
    """Return a set whose images are stored in another type; its bytes count as stored.

    Bytes are pixels: values beyond the pixel range are cut, the others rounded to 1/255. Whitened
    images have no pixel range, so they cannot be bytes.

    Args:
        distilled: any set; only images can be converted.
        kind: ``float32``, ``float16`` or ``uint8``.

    Raises:
        NotStorableError: the set has no images, or cannot be stored so.
    """
    if not isinstance(distilled, ImageSet | FactoredSet):
        raise NotStorableError(
            f"a {distilled.kind} set cannot be stored as {kind}: only images can"
        )
    images, dtype = distilled.images, _TYPES[kind]
    if images.dtype == dtype:
        return distilled
    if images.dtype == torch.uint8:
        raise NotStorableError(f"images of 8 bits gain nothing by being stored as {kind}")
    converted = _bytes(distilled) if dtype == torch.uint8 else images.to(dtype)
    return replace(distilled, images=converted)


def _bytes(distilled: ImageSet | FactoredSet) -> Tensor:
    """Return the images as pixels in 0..255."""
    pixels = distilled.images.float()
    if isinstance(distilled, ImageSet):
        if distilled.zca is not None:
            raise NotStorableError("whitened images cannot be stored as uint8: they are no pixels")
        pixels = denormalise(pixels, distilled.spec)
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8)
