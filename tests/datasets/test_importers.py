"""Specs of imported data: derived for a new name, kept for a known one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_datasets import Npz, make_arrays, make_spec

from bench.datasets.importers import derive_spec, match_spec, pixel_statistics, read_import
from bench.datasets.source import Arrays, no_progress
from bench.support.errors import BenchError


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3, st.sampled_from([1, 3]))))
def test_statistics_are_those_of_numpy(images: np.ndarray) -> None:
    mean, std = pixel_statistics(images)
    assert np.allclose(mean, (images / 255).mean((0, 1, 2)), atol=1e-6)
    assert np.allclose(std, (images / 255).std((0, 1, 2)), atol=1e-6)


def test_statistics_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = make_arrays().x_train
    whole = pixel_statistics(images)
    monkeypatch.setattr("bench.datasets.importers.IMAGES_PER_CHUNK", 2)
    assert pixel_statistics(images) == whole


@pytest.mark.parametrize(
    ("channel", "name"), [(0, "channel 0 (red)"), (1, "channel 1 (green)"), (2, "channel 2 (blue)")]
)
def test_a_constant_channel_is_refused_by_name(channel: int, name: str) -> None:
    arrays = make_arrays((4, 5, 3), classes=3)
    arrays.x_train[..., channel] = 7
    with pytest.raises(BenchError) as raised:
        derive_spec("mine", arrays, (), False, "")
    assert f"dataset 'mine': all training pixels of {name} are 7" in str(raised.value)
    assert "import the images as grey, or without it" in str(raised.value)


def test_constant_grey_images_are_refused() -> None:
    arrays = make_arrays((4, 5, 1), classes=3)
    arrays.x_train[:] = 0
    with pytest.raises(BenchError, match="all training pixels of channel 0 are 0"):
        derive_spec("mine", arrays, (), False, "")


def test_a_new_name_gets_everything_from_its_arrays() -> None:
    arrays = make_arrays((4, 5, 3), classes=3)
    spec = derive_spec("mine", arrays, ("a", "b", "c"), True, " seen twice ")
    assert (spec.name, spec.num_classes, spec.shape) == ("mine", 3, (3, 4, 5))
    assert (spec.flip, spec.class_names, spec.note) == (True, ("a", "b", "c"), "seen twice")
    assert (spec.mean, spec.std) == pixel_statistics(arrays.x_train)


def _with(**changes: object) -> Arrays:
    return Arrays(**{**vars(make_arrays()), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (_with(y_train=np.zeros(9, int), y_test=np.zeros(6, int)), "has 1 class: at least 2"),
        (_with(y_train=np.arange(9) * 10**12), "label 8000000000000 but only 9 training images"),
        (_with(y_train=np.arange(9) % 2 * 2), "y_train: class 1 of dataset 'mine' is empty"),
        (_with(y_test=np.zeros(6, int)), "y_test: class 1 of dataset 'mine' is empty"),
        (
            _with(x_train=np.zeros((9, 4, 5, 3), np.uint8)),
            "pixels of channel 0 .red. are 0",
        ),
        (_with(x_test=np.zeros((6, 4, 4, 3), np.uint8)), "x_test holds images of 4x4 with 3 chan"),
    ],
)
def test_data_that_make_no_dataset_are_refused(arrays: Arrays, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        derive_spec("mine", arrays, (), False, "")


def test_a_known_name_keeps_its_normalisation_and_says_what_differs() -> None:
    known = make_spec(note="tiny pictures")
    spec = match_spec(known, (9, 26_032), make_arrays(), "went through JPEG")
    assert (spec.mean, spec.std, spec.flip) == (known.mean, known.std, known.flip)
    assert spec.note == (
        "tiny pictures; imported from a file; test part has 6 of 26,032 images; went through JPEG"
    )


def test_a_complete_copy_only_says_that_it_was_imported() -> None:
    assert match_spec(make_spec(), (9, 6), make_arrays(), "").note == "imported from a file"


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((4, 5, 3), 2, "label 2: dataset 'tiny' has 2 classes, labels 0..1"),
        ((4, 5, 3), 4, r"class 3 \('d'\) of dataset 'tiny' is empty"),
        ((4, 6, 3), 3, "images of 4x5 with 3 channels: dataset 'tiny' has 4x6 with 3 channels"),
        ((4, 5), 3, "images of 4x5 with 3 channels: dataset 'tiny' has 4x5 with 1 channel$"),
    ],
)
def test_a_known_name_must_fit(shape: tuple[int, ...], classes: int, message: str) -> None:
    known = make_spec(shape, classes, class_names=tuple("abcd"[:classes]))
    with pytest.raises(BenchError, match=message):
        match_spec(known, None, make_arrays(), "")


def test_what_is_neither_archive_nor_folder_is_refused(tmp_path: Path, npz: Npz) -> None:
    with pytest.raises(BenchError, match=r"gone.npz' does not exist"):
        read_import(tmp_path / "gone.npz", None, no_progress)
    with pytest.raises(BenchError, match=r"is neither an .npz file nor a folder"):
        read_import(npz().rename(tmp_path / "tiny.zip"), None, no_progress)
