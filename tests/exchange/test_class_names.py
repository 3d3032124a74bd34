"""The names of a source's classes say which class of the dataset each is, or nothing at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from foreign_files import Sample, digits_sample

from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import ImageSet
from bench.exchange.class_names import match_classes
from bench.exchange.raw_set import RawSet
from bench.exchange.reading import read
from bench.support.errors import BenchError

NAMES = ("airplane", "automobile", "polar bear")


def spec(names: tuple[str, ...] = NAMES) -> DatasetSpec:
    return DatasetSpec("tiny", 3, 1, 4, 4, (0.5,), (0.5,), flip=False, class_names=names)


@pytest.mark.parametrize(
    ("names", "classes", "how"),
    [
        (NAMES, (0, 1, 2), ""),
        (("Airplane", "AUTOMOBILE", "polar_bear"), (0, 1, 2), ""),
        (("automobile", "polar-bear", "airplane"), (1, 2, 0), "renumbered by class name"),
        (("polar bear",), (2,), "renumbered by class name"),
        (("0", "1", "2"), (0, 1, 2), ""),
        (("0", "2"), (0, 2), "numbered by name"),
        (("2", "0"), (2, 0), "numbered by name"),
    ],
)
def test_names_and_numbers(names: tuple[str, ...], classes: tuple[int, ...], how: str) -> None:
    matched = match_classes(names, spec(), "set")
    assert (matched.classes, matched.how, matched.warning) == (classes, how, None)


def test_numbers_from_one() -> None:
    matched = match_classes(("1", "2", "3"), spec(), "set")
    assert matched.classes == (0, 1, 2)
    assert "numbers its classes from 1" in str(matched.warning)


def test_names_of_nothing_are_taken_in_order_with_a_warning() -> None:
    matched = match_classes(("n01", "n02", "n03"), spec(), "set")
    assert matched.classes == (0, 1, 2)
    assert "calls its classes n01, n02, n03, ..., the dataset airplane" in str(matched.warning)
    assert match_classes(("a", "b", "c"), spec(()), "set").warning is None


def test_names_that_are_known_in_part_are_refused() -> None:
    """In alphabetical order bird would be class 0: every number would be wrong."""
    with pytest.raises(BenchError, match=r"has classes that tiny has not \(plane, car\)"):
        match_classes(("plane", "car", "polar bear"), spec(), "set")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return digits_sample(2)


def test_a_folder_that_lacks_a_class_keeps_the_numbers_of_the_others(sample: Sample) -> None:
    some = sample.labels != 3
    names = tuple(str(c) for c in range(10) if c != 3)
    labels = torch.tensor([names.index(str(int(label))) for label in sample.labels[some]])
    raw = RawSet(sample.bytes[some], labels, "folder", "set", class_names=names)
    made = read(raw, sample.real).distilled
    assert isinstance(made, ImageSet)
    assert torch.equal(made.labels, sample.labels[some])


def test_labels_beyond_the_names_are_refused(sample: Sample) -> None:
    raw = RawSet(sample.bytes, sample.labels, "folder", "set", class_names=("0", "1"))
    with pytest.raises(BenchError, match="labels from 0 to 9, and names for 2 classes"):
        read(raw, sample.real)


def test_numbers_beyond_the_dataset_are_refused(sample: Sample) -> None:
    names = tuple(map(str, range(5, 15)))
    raw = RawSet(sample.bytes, sample.labels, "folder", "set", class_names=names)
    real = replace(sample.real, spec=replace(sample.real.spec, class_names=()))
    with pytest.raises(BenchError, match="labels from 5 to 14"):
        read(raw, real)
