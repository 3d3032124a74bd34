"""The contract of a dataset source, and the arrays that it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.datasets.spec import DatasetSpec

PARTS = ("train", "test")


class Progress(Protocol):
    """A function that is called with the progress of a download or an import."""

    def __call__(self, label: str, done: int, total: int | None) -> None:
        """Report progress.

        Args:
            label: the piece of work (a file's name); a new label starts a new bar.
            done: bytes or images so far.
            total: bytes or images in the end; ``None`` if that is not known.
        """


def no_progress(label: str, done: int, total: int | None) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Arrays:
    """All pixels and labels of a dataset, in host memory.

    Attributes:
        x_train: uint8 ``(N, H, W)`` or ``(N, H, W, C)`` with C 1 or 3.
        y_train: integers ``(N,)`` in ``0..num_classes - 1``.
        x_test: as ``x_train``, ``M`` images.
        y_test: as ``y_train``, ``M`` labels.
    """

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]

    def images(self, part: str) -> NDArray[Any]:
        """Return the images of ``train`` or ``test``."""
        return self.x_train if part == "train" else self.x_test

    def labels(self, part: str) -> NDArray[Any]:
        """Return the labels of ``train`` or ``test``."""
        return self.y_train if part == "train" else self.y_test

    @property
    def counts(self) -> tuple[int, int]:
        """Return the number of images in the train and in the test part."""
        return len(self.x_train), len(self.x_test)


def channels_first(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images ``(N, H, W)`` or ``(N, H, W, C)`` as contiguous uint8 ``(N, C, H, W)``."""
    planes = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(planes)


class DatasetSource(ABC):
    """A dataset that ``bench`` can fetch by itself; registered under ``bench.datasets``.

    Its module must import without torch, because ``bench list`` imports it: heavy packages are
    imported inside :meth:`load`.

    Class attributes:
        name: the registered name, lower case.
        spec: classes, shape, normalisation.
        counts: the expected numbers of train and test images; ``None`` if they are not fixed.
        label: its name as papers write it; empty if that is the registered name.
    """

    name: ClassVar[str]
    spec: ClassVar[DatasetSpec]
    counts: ClassVar[tuple[int, int] | None] = None
    label: ClassVar[str] = ""

    @abstractmethod
    def load(self, workdir: Path, progress: Progress) -> Arrays:
        """Download the dataset and return all of it.

        Args:
            workdir: an empty folder for downloads; it is removed afterwards.
            progress: called while bytes arrive.

        Raises:
            BenchError: a download failed or did not have the expected content.
        """
