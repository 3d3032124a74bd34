"""Each property of a foreign set is detected or given, and each known way to 10 % is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from foreign_files import Sample, digits_sample

import bench
from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.exchange.given import Given
from bench.exchange.raw_set import RawSet
from bench.exchange.reading import Reading, read
from bench.support.errors import BenchError


@pytest.fixture(scope="module")
def sample() -> Sample:
    return digits_sample()


def reading(sample: Sample, images: torch.Tensor, given: Given | None = None, **more) -> Reading:
    labels = more.pop("labels", sample.labels)
    return read(RawSet(images, labels, "test", "set.pt", **more), sample.real, given)


def facts(result: Reading) -> dict[str, str]:
    return {fact.name: fact.value for fact in result.facts}


def images_of(result: Reading) -> torch.Tensor:
    assert isinstance(result.distilled, ImageSet)
    return result.distilled.images


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("normalised", "normalised with the dataset's mean and std"),
        ("half", "normalised with mean 0.5 and std 0.5"),
        ("pixels", "pixels in [0, 1]"),
        ("bytes", "pixels in 0..255"),
        ("white", "ZCA-whitened"),
    ],
)
def test_units_are_detected(unit: str, words: str, sample: Sample) -> None:
    images = sample.in_unit(0.5, 0.5) if unit == "half" else getattr(sample, unit)
    result = reading(sample, images)
    assert facts(result)["values"] == words
    if unit == "white":
        assert result.distilled.zca is not None
        assert torch.equal(images_of(result), sample.white)
    elif unit == "bytes":
        assert torch.equal(images_of(result), sample.bytes)
    else:
        torch.testing.assert_close(images_of(result), sample.normalised, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_float_types(dtype: torch.dtype, sample: Sample) -> None:
    result = reading(sample, sample.normalised.to(dtype))
    assert facts(result)["values"] == "normalised with the dataset's mean and std"
    assert images_of(result).dtype == torch.float32


def test_a_mean_and_std_of_ones_own(sample: Sample) -> None:
    result = reading(sample, sample.in_unit(0.3, 0.2), Given(normalisation="0.3/0.2"))
    torch.testing.assert_close(images_of(result), sample.normalised, rtol=1e-4, atol=1e-4)
    assert [fact.how for fact in result.facts if fact.name == "values"] == ["given"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Given(normalisation="pixel"), "unknown normalisation 'pixel'. Did you mean 'pixels'"),
        (Given(normalisation="1/0"), "must be above 0"),
        (Given(normalisation="0.5,0.5/1"), "expected 1 or 1 numbers"),
        (Given(normalisation="a/b"), "cannot be read"),
        (Given(normalisation="half", zca=True), "does not go with"),
        (Given(normalisation="zca", zca=False), "does not go with"),
    ],
)
def test_a_wrong_option_is_named(given: Given, words: str, sample: Sample) -> None:
    with pytest.raises(BenchError, match=words):
        reading(sample, sample.normalised, given)


# The known ways to a wrong number: each is warned of, or refused.

# A name or MEAN/STD for each unit in which the images of a file can be.
UNITS = {
    "bytes": "bytes", "pixels": "pixels", "normalised": "dataset", "half": "half",
    "white": "zca", "imagenet": "0.449/0.226",
}  # fmt: skip


@pytest.mark.parametrize("said", UNITS)
@pytest.mark.parametrize("stored", UNITS)
def test_every_wrong_unit_is_warned_of(stored: str, said: str, sample: Sample) -> None:
    """Also where the user names it: uint8 read as floats, pixels as normalised, and so on."""
    images = {
        "bytes": sample.bytes.float(),
        "half": sample.in_unit(0.5, 0.5),
        "imagenet": sample.in_unit(0.449, 0.226),
    }.get(stored)
    images = getattr(sample, stored) if images is None else images
    result = reading(sample, images, Given(normalisation=UNITS[said]))
    far = any("mean and std are far from those of the dataset" in w for w in result.warnings)
    assert far == (stored != said)


def test_a_unit_of_other_channels_is_refused(sample: Sample) -> None:
    with pytest.raises(BenchError, match="imagenet is for images of 3 channels, those of digits"):
        reading(sample, sample.normalised, Given(normalisation="imagenet"))


def test_bytes_stored_as_floats(sample: Sample) -> None:
    result = reading(sample, sample.bytes.float())
    assert any("bytes that were stored as floats" in text for text in result.warnings)
    assert torch.equal(images_of(result), sample.bytes)


def test_normalised_images_read_as_pixels(sample: Sample) -> None:
    result = reading(sample, sample.normalised, Given(normalisation="pixels"))
    assert any("outside [0, 1]" in text for text in result.warnings)


def test_images_of_another_dataset(sample: Sample) -> None:
    result = reading(sample, 40 + 9 * torch.randn(sample.normalised.shape))
    assert any("far from those of the dataset" in text for text in result.warnings)


def test_labels_in_another_order(sample: Sample) -> None:
    result = reading(sample, sample.normalised, labels=(sample.labels + 3) % 10)
    assert any("are they in another order" in text for text in result.warnings)


def test_a_learned_rate_that_is_left_out(sample: Sample) -> None:
    result = reading(sample, sample.normalised, learns_rate=True)
    assert any("give the learned one with --lr" in text for text in result.warnings)
    given = reading(sample, sample.normalised, Given(learning_rate=0.03), learns_rate=True)
    assert (given.warnings, given.distilled.learning_rate) == ((), 0.03)


def test_classes_without_images(sample: Sample) -> None:
    some = sample.labels < 7
    result = reading(sample, sample.normalised[some], labels=sample.labels[some])
    assert facts(result)["images per class"] == "0 to 10, unbalanced"
    assert any("3 of 10 classes have no image" in text for text in result.warnings)


def test_channels_last(sample: Sample) -> None:
    result = reading(sample, sample.normalised.permute(0, 2, 3, 1))
    assert facts(result)["channel order"] == "last (N, H, W, C)"
    assert torch.equal(images_of(result), sample.normalised)


def test_soft_labels_are_not_rounded(sample: Sample) -> None:
    hard = torch.nn.functional.one_hot(sample.labels, 10).float()
    smooth = reading(sample, sample.normalised, labels=0.9 * hard + 0.01)
    assert smooth.distilled.label_kind == "probabilities"
    assert reading(sample, sample.normalised, labels=hard).distilled.label_kind == "hard"
    assert reading(sample, sample.normalised, labels=9 * hard).distilled.label_kind == "hard"
    logits = reading(sample, sample.normalised, labels=9 * hard + torch.rand(100, 10))
    assert logits.distilled.label_kind == "logits"


def test_labels_by_class_name(sample: Sample) -> None:
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    spec = replace(sample.real.spec, class_names=names)
    real = replace(sample.real, spec=spec)
    alphabetical = tuple(sorted(names))
    labels = torch.tensor([alphabetical.index(names[int(label)]) for label in sample.labels])
    raw = RawSet(sample.normalised, labels, "test", "folder", class_names=alphabetical)
    distilled = read(raw, real).distilled
    assert isinstance(distilled, ImageSet)
    assert torch.equal(distilled.labels, sample.labels)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.arange(100), "labels from 0 to 99: the dataset has the classes 0 to 9"),
        (-torch.ones(100, dtype=torch.int64), "labels from -1"),
        (torch.zeros(99), r"labels \(99,\) for 100 images"),
        (torch.zeros(100, 9), r"labels \(100, 9\) for 100 images"),
        (torch.full((100,), 0.5), "no whole numbers"),
        (torch.full((100, 10), float("nan")), "NaN or infinite"),
    ],
)
def test_wrong_labels_are_refused(labels: torch.Tensor, words: str, sample: Sample) -> None:
    with pytest.raises(BenchError, match=words):
        reading(sample, sample.normalised, labels=labels)


def test_wrong_images_are_refused(sample: Sample) -> None:
    with pytest.raises(BenchError, match=r"those of digits are \(N, 1, 16, 16\)"):
        reading(sample, torch.zeros(100, 3, 32, 32))
    for normalisation in (None, "bytes", "0.5/0.5"):
        with pytest.raises(BenchError, match="NaN or infinity"):
            reading(sample, sample.normalised / 0, Given(normalisation=normalisation))
    with pytest.raises(BenchError, match="bytes, which cannot be whitened"):
        reading(sample, sample.bytes, Given(zca=True))


def test_a_tensor_of_strides_is_not_unfolded(sample: Sample) -> None:
    """One number in the file, seen as 2**40 images."""
    with pytest.raises(BenchError, match="more than this machine's memory"):
        reading(sample, torch.zeros(1).expand(2**40, 1, 16, 16))


def test_a_factored_set(sample: Sample) -> None:
    result = reading(sample, sample.pixels, Given(factor=2))
    assert isinstance(result.distilled, FactoredSet)
    source = result.distilled.source("stored", 10, torch.Generator())
    assert source.images_per_epoch == 400
    assert torch.equal(result.distilled.images, sample.pixels)


# A whitened and a plain set, each with and without the right statistics (MTT's usual mistake).


def whitened(sample: Sample, epsilon: float = 0.1) -> ZCA:
    return ZCA.fit(sample.real.images, epsilon)


def trained_on(result: Reading) -> torch.Tensor:
    """Return the images that networks see: equal ones give equal numbers."""
    return result.distilled.source("stored", 10, torch.Generator()).epoch(torch.Generator())[0]


def test_statistics_in_the_source_are_used_without_a_warning(sample: Sample) -> None:
    own = whitened(sample)
    result = reading(sample, sample.white, zca=own)
    assert (result.warnings, result.distilled.zca) == ((), own)
    assert torch.equal(trained_on(result), sample.white)
    assert facts(result)["ZCA"] == "statistics in the source"


def test_statistics_that_are_missing_are_computed_and_warned_of(sample: Sample) -> None:
    result = reading(sample, sample.white)
    assert torch.equal(trained_on(result), sample.white)
    (warning,) = result.warnings
    assert "no ZCA statistics" in warning
    assert result.distilled.zca is not None
    assert torch.equal(result.distilled.zca.matrix, whitened(sample).matrix)


def test_real_images_of_a_whitened_set_are_bytes(sample: Sample) -> None:
    """A coreset that is used whitened is stored as it is, with the statistics beside."""
    result = reading(sample, sample.bytes, zca=whitened(sample))
    assert result.warnings == ()
    assert (images_of(result).dtype, result.distilled.zca is None) == (torch.uint8, False)
    assert torch.equal(trained_on(result), sample.white)
    plain = reading(sample, sample.bytes, Given(zca=False), zca=whitened(sample))
    assert plain.distilled.zca is None
    assert torch.equal(trained_on(plain), sample.normalised)


@pytest.mark.parametrize(
    ("unit", "given", "epsilon", "words"),
    [
        ("white", Given(zca=False), None, "far from those of the dataset"),
        ("white", Given(normalisation="dataset"), None, "far from those of the dataset"),
        ("white", Given(zca=False), 0.1, "far from those of the dataset"),
        ("white", None, 1e-6, "wrong ZCA statistics"),
        ("white", None, 100.0, "wrong ZCA statistics"),
        ("normalised", Given(zca=True), None, "far from those of the dataset"),
        ("normalised", None, 0.1, "far from those of the dataset"),
    ],
)
def test_wrong_statistics_are_warned_of(
    unit: str, given: Given | None, epsilon: float | None, words: str, sample: Sample
) -> None:
    zca = None if epsilon is None else whitened(sample, epsilon)
    result = reading(sample, getattr(sample, unit), given, zca=zca)
    assert any(words in text for text in result.warnings)


def test_a_plain_set_is_read_without_a_warning(sample: Sample) -> None:
    result = reading(sample, sample.normalised)
    assert (result.warnings, result.distilled.zca) == ((), None)
    assert torch.equal(trained_on(result), sample.normalised)


def test_the_right_statistics_give_the_right_number(sample: Sample) -> None:
    test, arch = bench.load_dataset("digits").test, "convnet2(width=16)"

    def accuracy(images: torch.Tensor, given: Given | None = None, **more: ZCA) -> float:
        distilled: DistilledSet = reading(sample, images, given, **more).distilled
        return bench.evaluate(distilled, test, arch=arch, protocol="smoke", seeds=1).mean

    plain, white = accuracy(sample.normalised), accuracy(sample.white)
    assert min(plain, white) > 75
    assert accuracy(sample.white, Given(zca=False)) < plain - 10
    assert accuracy(sample.bytes, zca=whitened(sample)) == white


def test_whitened_images_are_no_factored_set(sample: Sample) -> None:
    with pytest.raises(BenchError, match="holds pixels, not ZCA-whitened images"):
        reading(sample, sample.white, Given(factor=2))


def large_real(side: int) -> RealSet:
    """Return a dataset of few large grey images."""
    spec = DatasetSpec("large", 2, 1, side, side, (0.5,), (0.25,), flip=False)
    pixels = torch.randint(0, 256, (4, 1, side, side), dtype=torch.uint8)
    return RealSet(spec, pixels, torch.tensor([0, 0, 1, 1]), "ab" * 32)


def test_whitening_is_not_looked_for_where_it_takes_minutes() -> None:
    """Its statistics of 128x128 colour images would be 19 GB."""
    for side, looked_for in ((16, True), (65, False)):
        real = large_real(side)
        images = 3 + 0.1 * torch.randn(4, 1, side, side)
        result = read(RawSet(images, real.labels, "test", "set.pt"), real)
        assert ("zca" in facts(result)["distance to real images"]) == looked_for


def test_statistics_that_do_not_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.support.untrusted.host_memory", lambda: 10_000_000)
    real = large_real(65)
    raw = RawSet(torch.randn(4, 1, 65, 65), real.labels, "test", "set.pt")
    with pytest.raises(BenchError, match="are more than this machine's memory"):
        read(raw, real, Given(zca=True))
