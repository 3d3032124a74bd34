"""A distilled set as a folder of images: ``CLASS/*.png``."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.datasets.image_folder import read_classes
from bench.exchange.raw_set import RawSet


def read_image_tree(root: Path) -> RawSet:
    """Read every image below ``root``, uint8; classes are the folders, in label order.

    Folders whose names are all numbers are in numerical order, others in alphabetical order; the
    names travel along, so that they can be matched with those of the dataset.

    Raises:
        BenchError: a folder is empty, an image cannot be read, sizes differ.
    """
    images, labels, names = read_classes(root)
    pixels = torch.from_numpy(images)
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return RawSet(
        pixels.contiguous(), torch.from_numpy(labels), "folder of images", str(root),
        class_names=names,
    )  # fmt: skip
