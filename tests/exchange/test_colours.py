"""Colours in the opposite order are noticed, and read in the right one where the user says so."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from foreign_files import digits_sample
from torch import Tensor

import bench
from bench.cli import main
from bench.datasets.real_set import RealSet, normalise
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.image_set import ImageSet
from bench.exchange.colours import compare_colours
from bench.exchange.given import Given
from bench.exchange.raw_set import RawSet
from bench.exchange.reading import Reading, read
from bench.support.errors import BenchError
from bench.support.seeds import make_generator

REVERSED = "the images' colours are the reverse of what their classes have in the dataset"
SPEC = DatasetSpec(
    "coloured", 10, 3, 16, 16, (0.53, 0.49, 0.44), (0.22, 0.21, 0.23), flip=True
)  # fmt: skip


def coloured_images(per_class: int, seed: int, warm: float = 12.0) -> tuple[Tensor, Tensor]:
    """Return noisy images of classes with colours of their own, on the whole a little warm."""
    labels = torch.arange(10).repeat_interleave(per_class)
    shades = torch.tensor([warm, 0, -warm]) + 18 * torch.randn(10, 3, generator=make_generator(0))
    generator = make_generator(seed)
    light = 25 * torch.randn(len(labels), 1, 1, 1, generator=generator)
    tint = 22 * torch.randn(len(labels), 3, 1, 1, generator=generator)
    noise = 40 * torch.randn(len(labels), 3, 16, 16, generator=generator)
    values = 125 + shades[labels][:, :, None, None] + light + tint + noise
    return values.clamp(0, 255).to(torch.uint8), labels


@dataclass(frozen=True)
class Coloured:
    """Ten images per class of a dataset, as bytes, red first."""

    real: RealSet
    images: Tensor
    labels: Tensor

    def read(self, images: Tensor, given: Given | None = None, **more: Any) -> Reading:
        return read(RawSet(images, self.labels, "test", "set.pt", **more), self.real, given)


@pytest.fixture(scope="module")
def coloured() -> Coloured:
    images, labels = coloured_images(100, 1)
    return Coloured(RealSet(SPEC, images, labels, "ab" * 32), *coloured_images(10, 2))


def in_unit(images: Tensor, unit: str) -> Tensor:
    """Return images as a file could have them, normalised by numbers in the order red first."""
    pixels = images.float() / 255
    match unit:
        case "pixels":
            return pixels
        case "half":
            return (pixels - 0.5) / 0.5
        case "dataset":
            return normalise(images, SPEC)
        case _:
            return images


def is_warned(reading: Reading) -> bool:
    return any(REVERSED in text for text in reading.warnings)


def are_reversed(images: Tensor, labels: Tensor, coloured: Coloured) -> bool:
    colours = compare_colours(images / 255, labels, coloured.real)
    assert colours is not None
    return colours.are_reversed


UNITS = ("bytes", "pixels", "half", "dataset")


@pytest.mark.parametrize("unit", UNITS)
def test_red_first_is_not_warned_of(unit: str, coloured: Coloured) -> None:
    reading = coloured.read(in_unit(coloured.images, unit))
    assert reading.warnings == ()
    facts = {fact.name: (fact.value, fact.how) for fact in reading.facts}
    assert facts["channel order"] == ("first (N, C, H, W), RGB", "detected")
    assert facts["colours"] == ("as in the dataset", "detected")


@pytest.mark.parametrize("unit", UNITS)
def test_blue_first_is_warned_of(unit: str, coloured: Coloured) -> None:
    """As a program that never heard of red writes it: normalised by numbers in its own order."""
    reading = coloured.read(in_unit(coloured.images, unit).flip(1))
    assert is_warned(reading)
    assert {fact.name: fact.value for fact in reading.facts}["colours"] == (
        "the reverse of the dataset's"
    )
    shown = "on average, there" in " ".join(reading.warnings)
    assert shown == (unit != "dataset")  # which gives any images the dataset's average
    assert "stored blue first? See --channels" in " ".join(reading.warnings)


def test_blue_first_normalised_as_if_it_were_red_is_warned_of(coloured: Coloured) -> None:
    assert is_warned(coloured.read(in_unit(coloured.images.flip(1), "dataset")))


def test_red_first_that_is_said_to_be_blue_is_warned_of(coloured: Coloured) -> None:
    assert is_warned(coloured.read(coloured.images, Given(channels="bgr")))
    assert not is_warned(coloured.read(coloured.images, Given(channels="rgb")))


def test_a_factored_set_is_compared_too(coloured: Coloured) -> None:
    given = Given(factor=2)
    assert not is_warned(coloured.read(coloured.images, given))
    assert is_warned(coloured.read(coloured.images.flip(1), given))


@pytest.mark.parametrize("unit", UNITS)
def test_said_to_be_blue_first_it_is_the_set_itself(unit: str, coloured: Coloured) -> None:
    images = in_unit(coloured.images, unit)
    expected, reading = coloured.read(images), coloured.read(images.flip(1), Given(channels="bgr"))
    assert reading.warnings == ()
    assert isinstance(reading.distilled, ImageSet)
    assert isinstance(expected.distilled, ImageSet)
    assert torch.equal(reading.distilled.images, expected.distilled.images)
    facts = {fact.name: (fact.value, fact.how) for fact in reading.facts}
    assert facts["channel order"] == ("first (N, C, H, W), BGR", "given")


def test_channels_last_and_blue_first(coloured: Coloured) -> None:
    images = coloured.images.flip(1).permute(0, 2, 3, 1)
    reading = coloured.read(images, Given(channels="bgr"))
    assert isinstance(reading.distilled, ImageSet)
    assert torch.equal(reading.distilled.images, coloured.images)
    assert is_warned(coloured.read(images))


def test_statistics_in_the_source_turn_with_its_images(coloured: Coloured) -> None:
    """A set that was whitened blue first holds statistics of images that are blue first."""
    own = ZCA.fit(coloured.real.images, 0.1)
    theirs = ZCA.fit(coloured.real.images.flip(1), 0.1)
    white = theirs.whiten(coloured.images.flip(1))
    reading = coloured.read(white, Given(channels="bgr"), zca=theirs)
    assert reading.warnings == ()
    zca = reading.distilled.zca
    assert zca is not None
    torch.testing.assert_close(zca.mean, own.mean)
    torch.testing.assert_close(zca.matrix, own.matrix, rtol=1e-3, atol=1e-3)
    assert is_warned(coloured.read(white, zca=theirs))


@pytest.mark.parametrize("per_class", [1, 10])
def test_real_images_are_never_warned_of(per_class: int, coloured: Coloured) -> None:
    """Neither drawn at random, nor the reddest or the bluest of many."""
    for seed in range(40):
        images, labels = coloured_images(per_class, 100 + seed)
        assert not are_reversed(images, labels, coloured)
    images, labels = coloured_images(10 * per_class, 99)
    first = 10 * per_class * torch.arange(10)[:, None]
    for channel in (0, 2):
        brightness = images[:, channel].float().mean((1, 2)).view(10, -1)
        chosen = (brightness.topk(per_class).indices + first).flatten()
        assert not are_reversed(images[chosen], labels[chosen], coloured)


def test_a_dataset_without_colours_of_its_own_says_nothing(coloured: Coloured) -> None:
    """Grey images in three channels are the same in either order."""
    grey = coloured.real.images[:, :1].expand(-1, 3, -1, -1)
    real = replace(coloured.real, images=grey.contiguous())
    images = coloured.images[:, :1].expand(-1, 3, -1, -1)
    for order in (images, images.flip(1), coloured.images, coloured.images.flip(1)):
        reading = replace(coloured, real=real).read(order)
        assert not is_warned(reading)
        facts = {fact.name: fact.value for fact in reading.facts}
        assert facts["colours"] == "they do not tell the order"


def test_grey_images_have_no_order() -> None:
    sample = digits_sample()
    raw = RawSet(sample.bytes, sample.labels, "test", "set.pt")
    facts = {fact.name: fact.value for fact in read(raw, sample.real).facts}
    assert facts["channel order"] == "first (N, C, H, W)"
    assert "colours" not in facts
    with pytest.raises(BenchError, match="--channels is for images of 3 channels, those of digits"):
        read(raw, sample.real, Given(channels="bgr"))


def test_an_unknown_order_is_named(coloured: Coloured) -> None:
    with pytest.raises(BenchError, match="unknown channels 'gbr'"):
        coloured.read(coloured.images, Given(channels="gbr"))


def test_the_command_gives_the_set_itself_and_its_number(
    coloured: Coloured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same cells: what is known by its contents is known in either order."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    test = coloured_images(10, 3)
    arrays = {
        "x_train": coloured.real.images.permute(0, 2, 3, 1),
        "x_test": test[0].permute(0, 2, 3, 1),
    }
    arrays |= {"y_train": coloured.real.labels, "y_test": test[1]}
    np.savez(tmp_path / "d.npz", **{name: value.numpy() for name, value in arrays.items()})
    for name, images in (("rgb", coloured.images), ("bgr", coloured.images.flip(1))):
        torch.save({"images": images, "labels": coloured.labels}, tmp_path / f"{name}.pt")

    def call(*words: Any) -> Any:
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result

    def evaluated(name: str, *more: str) -> Any:
        what = ("--dataset", "coloured", "--protocol", "smoke", "--eval-arch", "mlp")
        where = ("--store", tmp_path / "store")
        return call("evaluate", tmp_path / f"{name}.pt", *what, "--name", "set", *more, *where)

    call("data", "import", "coloured", tmp_path / "d.npz")
    expected = json.loads(evaluated("rgb", "--json").stdout)
    again = evaluated("bgr", "--channels", "bgr")
    assert again.stderr.count("cached") == 2
    found = json.loads(evaluated("bgr", "--channels", "bgr", "--json").stdout)
    assert found["results"] == expected["results"]
    loaded = bench.load(
        tmp_path / "bgr.pt", real=bench.load_dataset("coloured").train, channels="bgr"
    )
    assert isinstance(loaded, ImageSet)
    assert torch.equal(loaded.images, coloured.images)
