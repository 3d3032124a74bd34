"""The embedded digits: counts, split, constants, interpolation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.datasets.checks import check_arrays
from bench.datasets.digits import Digits, enlarge
from bench.datasets.importers import pixel_statistics
from bench.datasets.packed import write_packed
from bench.datasets.source import Arrays, no_progress


def test_counts_and_balance(digits: Arrays) -> None:
    check_arrays(digits, Digits.spec)
    assert digits.counts == Digits.counts == (1437, 360)
    assert np.bincount(digits.y_test).tolist() == [36] * 10


def test_no_image_is_in_both_parts_and_none_is_lost(digits: Arrays) -> None:
    train = {image.tobytes() for image in digits.x_train}
    test = {image.tobytes() for image in digits.x_test}
    assert len(train) + len(test) == 1797
    assert not train & test


def test_the_constants_are_those_of_the_training_pixels(digits: Arrays) -> None:
    assert pixel_statistics(digits.x_train) == (Digits.spec.mean, Digits.spec.std)


def test_the_packed_bytes_are_fixed(digits: Arrays, tmp_path: Path) -> None:
    # Published results name this hash; scikit-learn, numpy or Pillow must not be able to move it.
    found = write_packed(tmp_path / "digits", Digits.spec, digits)
    assert found == "3b90b8bb7fccae50a793518c9260af8fa99d7d81d59f54c1dc8dc59a553bdeb4"


def test_enlarging_is_bilinear() -> None:
    image = np.random.default_rng(0).integers(0, 17, (8, 8))
    scaled = Image.fromarray((image * 255 / 16).astype(np.float32))
    expected = np.asarray(scaled.resize((16, 16), Image.Resampling.BILINEAR))
    assert np.abs(enlarge(image[None])[0] - expected).max() <= 0.51


def test_enlarging_keeps_the_extremes() -> None:
    assert np.array_equal(np.unique(enlarge(np.full((1, 8, 8), 16))), [255])
    assert enlarge(np.zeros((2, 3, 4), int)).shape == (2, 6, 8)


@pytest.fixture(scope="module")
def digits() -> Arrays:
    return Digits().load(Path(), no_progress)
