"""MNIST, FashionMNIST, SVHN, CIFAR-10 and CIFAR-100, as torchvision names and reads them.

The addresses and checksums are torchvision's. Files are downloaded by this package, with progress
and a time limit; torchvision then finds them in place, checks them again and reads them. Mean and
standard deviation are those in the published code of DC, DSA, DM and DC-BENCH.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.datasets.download import download
from bench.datasets.source import Arrays, DatasetSource, Progress
from bench.datasets.spec import DatasetSpec
from bench.datasets.torchvision_classes import CIFAR10_CLASSES, CIFAR100_CLASSES, FASHION_CLASSES

_DIGIT_NAMES = tuple("0123456789")


class MNIST(DatasetSource):
    """Handwritten digits (LeCun et al., 1998)."""

    name: ClassVar[str] = "mnist"
    label: ClassVar[str] = "MNIST"
    spec: ClassVar[DatasetSpec] = DatasetSpec(
        "mnist", 10, 1, 28, 28, (0.1307,), (0.3081,), False, _DIGIT_NAMES
    )
    counts: ClassVar[tuple[int, int] | None] = (60_000, 10_000)
    torchvision_name: ClassVar[str] = "MNIST"

    def load(self, workdir: Path, progress: Progress) -> Arrays:
        """Download the four IDX files and read them."""
        import torchvision.datasets

        dataset = getattr(torchvision.datasets, self.torchvision_name)
        folder = workdir / self.torchvision_name / "raw"
        for filename, md5 in dataset.resources:
            urls = [mirror + filename for mirror in dataset.mirrors]
            download(urls, folder / filename, md5, progress)
        train, test = (dataset(workdir, train=t, download=True) for t in (True, False))
        return Arrays(
            train.data.numpy(), train.targets.numpy(), test.data.numpy(), test.targets.numpy()
        )


class FashionMNIST(MNIST):
    """Zalando's pictures of clothes (Xiao et al., 2017)."""

    name: ClassVar[str] = "fashionmnist"
    label: ClassVar[str] = "FashionMNIST"
    spec: ClassVar[DatasetSpec] = DatasetSpec(
        "fashionmnist", 10, 1, 28, 28, (0.2861,), (0.3530,), True, FASHION_CLASSES
    )
    torchvision_name: ClassVar[str] = "FashionMNIST"


class SVHN(DatasetSource):
    """Street view house numbers, cropped digits, without the extra part (Netzer et al., 2011)."""

    name: ClassVar[str] = "svhn"
    label: ClassVar[str] = "SVHN"
    spec: ClassVar[DatasetSpec] = DatasetSpec(
        "svhn", 10, 3, 32, 32, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970), False,
        _DIGIT_NAMES,
    )  # fmt: skip
    counts: ClassVar[tuple[int, int] | None] = (73_257, 26_032)

    def load(self, workdir: Path, progress: Progress) -> Arrays:
        """Download the two MATLAB files and read them."""
        import torchvision.datasets

        dataset = torchvision.datasets.SVHN
        parts: list[Any] = []
        for part in ("train", "test"):
            url, filename, md5 = dataset.split_list[part]
            download([url], workdir / filename, md5, progress)
            read = dataset(workdir, split=part)
            parts += [read.data.transpose(0, 2, 3, 1), read.labels]
        return Arrays(*parts)


class CIFAR10(DatasetSource):
    """Tiny photographs in ten classes (Krizhevsky, 2009)."""

    name: ClassVar[str] = "cifar10"
    label: ClassVar[str] = "CIFAR-10"
    spec: ClassVar[DatasetSpec] = DatasetSpec(
        "cifar10", 10, 3, 32, 32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), True,
        CIFAR10_CLASSES,
    )  # fmt: skip
    counts: ClassVar[tuple[int, int] | None] = (50_000, 10_000)
    torchvision_name: ClassVar[str] = "CIFAR10"

    def load(self, workdir: Path, progress: Progress) -> Arrays:
        """Download the archive and read it."""
        import torchvision.datasets

        dataset = getattr(torchvision.datasets, self.torchvision_name)
        download([dataset.url], workdir / dataset.filename, dataset.tgz_md5, progress)
        train, test = (dataset(workdir, train=t, download=True) for t in (True, False))
        return Arrays(train.data, np.array(train.targets), test.data, np.array(test.targets))


class CIFAR100(CIFAR10):
    """Tiny photographs in a hundred classes, fine labels (Krizhevsky, 2009)."""

    name: ClassVar[str] = "cifar100"
    label: ClassVar[str] = "CIFAR-100"
    spec: ClassVar[DatasetSpec] = DatasetSpec(
        "cifar100", 100, 3, 32, 32, (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762), True,
        CIFAR100_CLASSES,
    )  # fmt: skip
    torchvision_name: ClassVar[str] = "CIFAR100"
