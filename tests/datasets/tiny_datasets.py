"""Small datasets that the tests here start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.source import Arrays
from bench.datasets.spec import DatasetSpec

# Writes tiny.npz with some arrays replaced; see the fixture of that name.
Npz = Callable[..., Path]


def make_arrays(
    shape: tuple[int, ...] = (4, 5, 3), classes: int = 3, n_train: int = 9, n_test: int = 6
) -> Arrays:
    """Pixels that look random and are not; labels go round the classes."""
    return Arrays(
        _pixels(n_train, shape, 97),
        np.arange(n_train) % classes,
        _pixels(n_test, shape, 89),
        np.arange(n_test) % classes,
    )


def _pixels(n: int, shape: tuple[int, ...], factor: int) -> NDArray[np.uint8]:
    size = n * int(np.prod(shape))
    return (np.arange(size) * factor % 251).astype(np.uint8).reshape(n, *shape)


def make_spec(shape: tuple[int, ...] = (4, 5, 3), classes: int = 3, **changes: Any) -> DatasetSpec:
    """A spec for :func:`make_arrays`."""
    height, width, channels = (*shape, 1)[:3]
    values: dict[str, Any] = {
        "name": "tiny",
        "num_classes": classes,
        "channels": channels,
        "height": height,
        "width": width,
        "mean": (0.5,) * channels,
        "std": (0.25,) * channels,
        "flip": False,
    }
    return DatasetSpec(**{**values, **changes})
