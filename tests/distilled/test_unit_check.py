"""Wrong units are named; images of every rightful kind pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from builders import tiny_real_set
from torch import Tensor, nn

from bench.datasets.library import open_split
from bench.datasets.real_set import RealSet, normalise
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.distilled.unit_check import describe_wrong_units
from bench.support.seeds import make_generator


def flat_colours() -> RealSet:
    """Return colour images with little contrast, as of house numbers: 10 classes of 40 images."""
    spec = DatasetSpec("flat", 10, 3, 16, 16, (0.44, 0.44, 0.47), (0.2, 0.2, 0.2), flip=False)
    generator = make_generator(2)
    labels = torch.arange(10).repeat(40)
    base = 112 + 45 * torch.randn(400, 3, 1, 1, generator=generator)
    noise = 20 * torch.randn(400, 3, 16, 16, generator=generator)
    return RealSet(spec, (base + noise).clamp(0, 255).to(torch.uint8), labels, "0" * 64)


def mostly_black() -> RealSet:
    """Return grey images that are black but for a bright stroke: 10 classes of 40 images."""
    spec = DatasetSpec("black", 10, 1, 16, 16, (0.13,), (0.31,), flip=False)
    images = torch.zeros(400, 1, 16, 16, dtype=torch.uint8)
    for i in range(400):
        images[i, 0, 2:14, (i % 10) + i // 100 : (i % 10) + i // 100 + 2] = 200 + i % 50
    return RealSet(spec, images, torch.arange(10).repeat(40), "0" * 64)


@pytest.fixture(params=["digits", "tiny", "flat", "black"])
def real(request: pytest.FixtureRequest, data_dir: Path) -> RealSet:
    if request.param == "digits":
        return open_split("digits", "train", data_dir, "cpu")
    makers = {"tiny": tiny_real_set, "flat": flat_colours, "black": mostly_black}
    return makers[request.param]()


def image_set(real: RealSet, images: Tensor, zca: ZCA | None = None) -> ImageSet:
    labels = torch.arange(real.spec.num_classes)
    return ImageSet(real.spec, images, labels, {}, zca=zca)


def one_per_class(real: RealSet, seed: int) -> Tensor:
    generator = make_generator(seed)
    classes = range(real.spec.num_classes)
    return torch.cat([real.sample_class(c, 1, generator) for c in classes])


def average(real: RealSet, count: int) -> Tensor:
    """Return the mean of some images of each class, as k-means has them."""
    return torch.stack([real.gather(index[:count]).mean(0) for index in real.class_indices])


def test_rightful_images_pass(real: RealSet) -> None:
    noise = torch.randn(real.spec.num_classes, *real.spec.shape, generator=make_generator(0))
    for images in (
        noise,
        0.1 * noise,
        3 * noise,
        80 * noise,
        *(average(real, n) for n in (2, 5, 10, 40)),
    ):
        assert describe_wrong_units(image_set(real, images), real) is None
    for seed in range(10):
        images = real.gather(one_per_class(real, seed))
        assert describe_wrong_units(image_set(real, images), real) is None


def test_pixels_have_no_choice(real: RealSet) -> None:
    images = real.images[one_per_class(real, 0)]
    assert describe_wrong_units(image_set(real, images), real) is None


WRONG: dict[str, tuple[Callable[[Tensor, DatasetSpec], Tensor], str]] = {
    "pixels": (lambda x, _: x, "they are pixels in [0, 1]; normalise(images, spec)"),
    "bytes": (lambda x, _: 255 * x, "pixels in 0..255; divide by 255"),
    "half": (lambda x, _: 2 * x - 1, "they are pixels in [-1, 1]; map them"),
    "twice": (lambda x, spec: normalise(normalise(x, spec), spec), "were normalised twice"),
}


@pytest.mark.parametrize("unit", WRONG)
def test_wrong_units_are_named(unit: str, data_dir: Path) -> None:
    change, expected = WRONG[unit]
    for real in (open_split("digits", "train", data_dir, "cpu"), mostly_black()):
        pixels = real.images[one_per_class(real, 0)].float() / 255
        pixels[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
        text = describe_wrong_units(image_set(real, change(pixels, real.spec)), real)
        assert text is not None
        assert text.startswith("its images have mean ")
        assert expected in text


def test_pixels_of_little_contrast_are_named() -> None:
    real = flat_colours()
    for seed in range(10):
        pixels = real.images[one_per_class(real, seed)].float() / 255
        assert describe_wrong_units(image_set(real, pixels), real) is not None


def test_learned_pixels_in_0_to_1_are_named(data_dir: Path) -> None:
    """Some steps of learning later they overshoot, and are in the wrong unit still."""
    real = open_split("digits", "train", data_dir, "cpu")
    pixels = real.images[one_per_class(real, 0)].float() / 255
    learned = pixels + 0.1 * torch.randn(pixels.shape, generator=make_generator(0))
    assert describe_wrong_units(image_set(real, learned), real) is not None


def test_whitened_sets(data_dir: Path) -> None:
    real = open_split("digits", "train", data_dir, "cpu")
    zca = ZCA.fit(real.images, 0.1)
    index = one_per_class(real, 0)
    noise = torch.randn(10, *real.spec.shape, generator=make_generator(0))
    for images in (real.whitened(zca).gather(index), noise):
        assert describe_wrong_units(image_set(real, images, zca), real) is None
    pixels = real.images[index].float() / 255
    assert describe_wrong_units(image_set(real, pixels, zca), real) is not None


def test_factored_sets_hold_pixels(data_dir: Path) -> None:
    real = open_split("digits", "train", data_dir, "cpu")
    pixels = real.images[one_per_class(real, 0)].float() / 255

    def factored(images: Tensor) -> DistilledSet:
        return FactoredSet(real.spec, images, torch.arange(10), 2, {})

    assert describe_wrong_units(factored(pixels), real) is None
    for wrong in (normalise(pixels, real.spec), 255 * pixels):
        assert "a factored set holds pixels in [0, 1]" in str(
            describe_wrong_units(factored(wrong), real)
        )


class Showing(nn.Module):
    """In place of a generator: shows real images, with values from ``low`` to 1."""

    def __init__(self, real: RealSet, low: float) -> None:
        super().__init__()
        self.real, self.low = real, low
        self.weight = nn.Parameter(torch.zeros(1))
        self.config: dict[str, object] = {}

    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        index = [self.real.sample_class(c, 1, generator) for c in labels.tolist()]
        return self.low + (1 - self.low) * self.real.images[torch.cat(index)].float() / 255


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_generators_draw_from_minus_one_to_one(low: float, data_dir: Path) -> None:
    real = open_split("digits", "train", data_dir, "cpu")
    made = GeneratorSet(real.spec, "showing", Showing(real, low), {})
    text = describe_wrong_units(made, real)
    if low == -1.0:
        assert text is None
    else:
        assert "draws pixels in [0, 1]" in str(text)
