"""Images stored as float16 or bytes: what is kept, what it costs, and what cannot be stored so."""

from __future__ import annotations

import pytest
import torch
from sample_sets import image_set
from toy_generator import SPEC, toy_set

from bench.datasets.real_set import denormalise
from bench.datasets.zca import ZCA
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import load, save
from bench.distilled.storage_type import NotStorableError, stored_as
from bench.support.seeds import make_generator

BYTES = {"float32": 4, "float16": 2, "uint8": 1}


def factored() -> FactoredSet:
    images = 1.2 * torch.rand(6, *SPEC.shape, generator=make_generator(0)) - 0.1
    return FactoredSet(SPEC, images, torch.arange(3).repeat_interleave(2), 2, {})


def shown(distilled: DistilledSet) -> torch.Tensor:
    return distilled.source("stored", 2, torch.Generator()).images  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", [image_set, factored])
@pytest.mark.parametrize("kind", BYTES)
def test_bytes_count_as_stored(make, kind: str, tmp_path) -> None:
    made = make()
    small = stored_as(made, kind)
    assert small.storage_bytes == BYTES[kind] * made.images.numel()
    assert stored_as(small, kind) is small
    save(small, tmp_path / "set.safetensors")
    back = load(tmp_path / "set.safetensors")
    assert (back.storage_bytes, type(back)) == (small.storage_bytes, type(made))
    assert torch.equal(shown(back), shown(small))


def test_half_precision_is_near() -> None:
    made = image_set()
    torch.testing.assert_close(shown(stored_as(made, "float16")), shown(made), rtol=1e-3, atol=1e-3)
    assert stored_as(made, "float32") is made


def test_bytes_are_pixels_cut_and_rounded() -> None:
    made = image_set()
    small = stored_as(made, "uint8")
    assert isinstance(small, ImageSet)
    pixels = denormalise(made.images, SPEC)
    assert float((small.images / 255 - pixels).abs().max()) <= 0.5 / 255 + 1e-6
    grids = factored()
    small_grids = stored_as(grids, "uint8")
    assert isinstance(small_grids, FactoredSet)
    gap = (small_grids.pixels - grids.images.clamp(0, 1)).abs().max()
    assert float(gap) <= 0.5 / 255 + 1e-6
    assert torch.equal(stored_as(factored(), "uint8").images, small_grids.images)


def test_what_cannot_be_stored_so() -> None:
    real = ImageSet(SPEC, torch.zeros(3, *SPEC.shape, dtype=torch.uint8), torch.arange(3), {})
    assert stored_as(real, "uint8") is real
    with pytest.raises(NotStorableError, match="images of 8 bits gain nothing"):
        stored_as(real, "float16")
    size = SPEC.pixels
    white = image_set(zca=ZCA(torch.zeros(size), torch.eye(size)))
    with pytest.raises(NotStorableError, match="whitened images cannot be stored as uint8"):
        stored_as(white, "uint8")
    assert stored_as(white, "float16").zca is white.zca
    with pytest.raises(NotStorableError, match="a generator set cannot be stored as uint8"):
        stored_as(toy_set(), "uint8")
