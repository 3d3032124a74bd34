"""The handwritten digits that scikit-learn contains: real images that need no download.

The UCI test set of optical digits (E. Alpaydin and C. Kaynak, 1998): 1,797 images of 8x8 pixels
with values 0..16, enlarged here to 16x16.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.datasets.source import Arrays, DatasetSource, Progress
from bench.datasets.spec import DatasetSpec

TEST_PER_CLASS = 36


class Digits(DatasetSource):
    """The digits, with 36 test images per class, chosen by a hash of their index."""

    name: ClassVar[str] = "digits"
    label: ClassVar[str] = "Digits"
    spec: ClassVar[DatasetSpec] = DatasetSpec(
        name="digits",
        num_classes=10,
        channels=1,
        height=16,
        width=16,
        mean=(0.304667,),
        std=(0.31795,),
        flip=False,
        class_names=tuple("0123456789"),
        note="scikit-learn's 8x8 digits enlarged to 16x16",
    )
    counts: ClassVar[tuple[int, int] | None] = (1437, 360)

    def load(self, workdir: Path, progress: Progress) -> Arrays:  # noqa: ARG002
        """Read the embedded images and split them."""
        from sklearn.datasets import load_digits

        raw, labels = load_digits(return_X_y=True)
        images = enlarge(raw.reshape(-1, 8, 8).astype(np.int64))
        test = _test_mask(labels)
        progress("digits", len(labels), len(labels))
        return Arrays(images[~test], labels[~test], images[test], labels[test])


def enlarge(images: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Double the size by bilinear interpolation, in integers: the same bits on every machine.

    Args:
        images: int64 ``(N, H, W)``, values 0..16.

    Returns:
        uint8 ``(N, 2H, 2W)``, values 0..255. Each pixel is 9/16 of the nearest source pixel, 3/16
        of each of the two next and 1/16 of the diagonal one; edges are repeated.
    """
    sixteenths = _double(_double(images, axis=1), axis=2)
    return ((sixteenths * 255 + 128) // 256).astype(np.uint8)


def _double(images: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Return the images times four, twice as long along one axis: int64.

    The factor four keeps the weights 3/4 and 1/4 integers.
    """
    lines = np.moveaxis(images, axis, 0)
    before = np.concatenate([lines[:1], lines[:-1]])
    after = np.concatenate([lines[1:], lines[-1:]])
    pairs = np.stack([3 * lines + before, 3 * lines + after], axis=1)
    return np.moveaxis(pairs.reshape(-1, *lines.shape[1:]), 0, axis)


def _test_mask(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which images are test images: in each class, those whose hashed index is smallest."""
    mask = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        indices = np.flatnonzero(labels == label).tolist()
        mask[sorted(indices, key=_hashed)[:TEST_PER_CLASS]] = True
    return mask


def _hashed(index: int) -> bytes:
    return hashlib.sha256(f"digits test {index}".encode()).digest()
