"""The import of a user's file or folder: its arrays, checked, and their spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.checks import check_arrays
from bench.datasets.image_folder import read_folder
from bench.datasets.npz_file import read_npz
from bench.datasets.source import PARTS, Arrays, Progress, channels_first
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError

# Images per pass, so that statistics do not need the whole set as wide integers.
IMAGES_PER_CHUNK = 4096


def read_import(
    path: Path,
    known: DatasetSpec | None,
    progress: Progress,
    report: Callable[[str], object] = lambda _: None,
) -> tuple[Arrays, Any]:
    """Read an ``.npz`` or an image-folder tree.

    Args:
        path: the file or folder.
        known: the registered dataset of that name, if there is one.
        progress: called as images are read.
        report: receives, in lines, what was converted and what was not read.

    Returns:
        The arrays and the class names (``()`` if the file has none).

    Raises:
        BenchError: the path is neither, or does not hold a dataset.
    """
    if path.is_dir():
        return read_folder(path, known, progress, report)
    if not path.exists():
        raise BenchError(f"'{path}' does not exist: give an .npz file or a folder of images")
    if path.suffix.lower() != ".npz" or not path.is_file():
        raise BenchError(f"'{path}' is neither an .npz file nor a folder with train/ and test/")
    return read_npz(path), ()


def match_spec(
    known: DatasetSpec, counts: tuple[int, int] | None, arrays: Arrays, note: str
) -> DatasetSpec:
    """Return the spec of a registered dataset that came from a file.

    Normalisation, flip and class names are the registered ones; the note says that the pixels came
    from a file and which part is not complete.

    Args:
        known: the registered spec.
        counts: the registered train and test counts, if fixed.
        arrays: the content of the file.
        note: what the user says of the file.
    """
    notes = [known.note, "imported from a file"]
    for part, came, whole in zip(PARTS, arrays.counts, counts or arrays.counts, strict=True):
        if came != whole:
            notes.append(f"{part} part has {came:,} of {whole:,} images")
    spec = replace(known, note="; ".join(filter(None, [*notes, note.strip()])))
    check_arrays(arrays, spec)
    return spec


def derive_spec(
    name: str, arrays: Arrays, class_names: tuple[str, ...], flip: bool, note: str
) -> DatasetSpec:
    """Return the spec of a new dataset: classes, shape, mean and std come from its arrays.

    Args:
        name: the new name.
        arrays: the content of the file; every label in ``0..K-1`` must occur.
        class_names: one per label, or ``()``.
        flip: whether a mirrored image keeps its label.
        note: what the user says of the file.

    Raises:
        BenchError: fewer than two classes, an empty class, or a channel of equal pixels.
    """
    highest = max(int(labels.max()) for labels in (arrays.y_train, arrays.y_test))
    if highest < 1:
        raise BenchError(f"dataset '{name}' has 1 class: at least 2 are needed, labels 0 and 1")
    # Checked before anything has a size of ``highest``: some class must be empty.
    if highest >= len(arrays.y_train):
        raise BenchError(
            f"dataset '{name}' holds the label {highest} but only {len(arrays.y_train)} training "
            f"images: labels must be 0..K-1, and no class may be empty"
        )
    mean, std = pixel_statistics(arrays.x_train)
    _check_no_constant_channel(name, mean, std)
    height, width = arrays.x_train.shape[1:3]
    spec = DatasetSpec(
        name, highest + 1, len(mean), height, width, mean, std, flip, class_names, note.strip()
    )
    check_arrays(arrays, spec)
    return spec


def _check_no_constant_channel(name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Raise an error for a channel that cannot be scaled to a standard deviation of 1."""
    for channel, (value, spread) in enumerate(zip(mean, std, strict=True)):
        if not spread:
            which = f"channel {channel}"
            if len(std) == 3:
                which += f" ({('red', 'green', 'blue')[channel]})"
            raise BenchError(
                f"dataset '{name}': all training pixels of {which} are {round(value * 255)}, and a "
                "constant channel cannot be normalised: import the images as grey, or without it"
            )


def pixel_statistics(images: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel, of pixels scaled to [0, 1].

    Computed from integer histograms, so that the result depends neither on the order of the images
    nor on precision; rounded to six decimals.

    Args:
        images: uint8 ``(N, H, W)`` or ``(N, H, W, C)``.
    """
    channels = 1 if images.ndim == 3 else images.shape[3]
    histogram = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), IMAGES_PER_CHUNK):
        planes = channels_first(images[start : start + IMAGES_PER_CHUNK])
        for c in range(channels):
            histogram[c] += np.bincount(planes[:, c].ravel(), minlength=256)
    values = np.arange(256) / 255
    total = histogram.sum(axis=1)
    mean = (histogram @ values) / total
    variance = np.maximum((histogram @ values**2) / total - mean**2, 0)
    return tuple(_rounded(mean)), tuple(_rounded(np.sqrt(variance)))


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(v), 6) for v in values]
