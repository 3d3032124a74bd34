"""The checks that every dataset must pass before it is packed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.source import PARTS, Arrays
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def is_name(name: str) -> bool:
    """Return whether a dataset can have this name, which is also the name of its file."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raise ``BenchError`` for a name that is not a plain file name on every system."""
    if not is_name(name):
        raise BenchError(
            f"dataset name '{name}' is not allowed: use lower-case letters, digits, '_' and '-', "
            "starting with a letter or digit, at most 64 of them"
        )


def check_images(images: NDArray[Any], label: str) -> None:
    """Check that images are uint8 ``(N, H, W)`` or ``(N, H, W, C)``, C 1 or 3, N at least 1.

    Raises:
        BenchError: naming ``label`` and what is wrong.
    """
    if images.dtype != np.uint8:
        raise BenchError(f"{label} is {images.dtype}: images must be uint8 (0..255)")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        hint = ""
        if images.ndim == 4 and images.shape[1] in (1, 3):
            hint = " (it looks like (N, C, H, W): transpose it)"
        raise BenchError(
            f"{label} has shape {images.shape}: expected (N, H, W) or (N, H, W, C) "
            f"with C 1 or 3{hint}"
        )
    if images.size == 0:
        raise BenchError(f"{label} has shape {images.shape}: it holds no pixels")


def check_labels(labels: NDArray[Any], n_images: int, label: str) -> None:
    """Check that labels are ``n_images`` non-negative integers.

    Raises:
        BenchError: naming ``label`` and what is wrong.
    """
    if labels.dtype.kind not in "iu":
        raise BenchError(f"{label} is {labels.dtype}: labels must be whole numbers (any int type)")
    if labels.shape != (n_images,):
        raise BenchError(
            f"{label} has shape {labels.shape}: expected ({n_images},), one label for each image"
        )
    if int(labels.min()) < 0:
        raise BenchError(f"{label} holds the label {int(labels.min())}: labels start at 0")


def count_classes(labels: NDArray[Any], spec: DatasetSpec, label: str) -> tuple[int, ...]:
    """Return the number of images in each class, by label.

    Args:
        labels: integers ``(N,)``.
        spec: says how many classes there are.
        label: names the labels in messages.

    Raises:
        BenchError: a label lies outside the dataset's classes, or a class is empty.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= spec.num_classes:
        raise BenchError(
            f"{label} holds the label {low if low < 0 else high}: dataset '{spec.name}' has "
            f"{spec.num_classes} classes, labels 0..{spec.num_classes - 1}"
        )
    counts = np.bincount(labels.astype(np.int64, copy=False), minlength=spec.num_classes)
    if not counts.all():
        empty = int(np.flatnonzero(counts == 0)[0])
        raise BenchError(
            f"{label}: class {class_label(spec, empty)} of dataset '{spec.name}' is empty; "
            "every class needs at least one image in each part"
        )
    return tuple(counts.tolist())


def check_arrays(arrays: Arrays, spec: DatasetSpec) -> None:
    """Check both parts of a dataset against its spec: dtype, shape, label range, no empty class.

    Raises:
        BenchError: naming the array and what is wrong.
    """
    expected = (spec.height, spec.width, spec.channels)
    for part in PARTS:
        images, labels = arrays.images(part), arrays.labels(part)
        check_images(images, f"x_{part}")
        shape = (*images.shape[1:], 1) if images.ndim == 3 else images.shape[1:]
        if shape != expected:
            raise BenchError(
                f"x_{part} holds images of {_size(shape)}: "
                f"dataset '{spec.name}' has {_size(expected)}"
            )
        check_labels(labels, len(images), f"y_{part}")
        count_classes(labels, spec, f"y_{part}")


def class_label(spec: DatasetSpec, index: int) -> str:
    """Return a class's number for a message, with its name if it has another."""
    name = spec.class_names[index] if spec.class_names else str(index)
    return str(index) if name == str(index) else f"{index} ('{name}')"


def _size(shape: Sequence[int]) -> str:
    height, width, channels = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"
