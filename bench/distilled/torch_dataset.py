"""Distilled sets as PyTorch datasets, for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, TensorDataset, get_worker_info

from bench.distilled.base import TrainingSource
from bench.support.seeds import derive_seed, make_generator


class StoredImages(TensorDataset):
    """The images and labels of a source that shows the same ones in every epoch.

    Args:
        source: its images are read once.
        device: of the source.
    """

    def __init__(self, source: TrainingSource, device: torch.device) -> None:
        images, labels = source.epoch(make_generator(0, device))
        super().__init__(images[:], labels)


class DrawnImages(IterableDataset[tuple[Tensor, Tensor]]):
    """Pairs of image and label that are drawn anew whenever the dataset is iterated.

    The workers of a ``DataLoader`` draw the same images and share them out.

    Args:
        source: draws the images of an epoch.
        device: of the source.
        seed: the images of the first, second, ... iteration follow from it; with workers, also
            from torch's own seed, which the loader passes to them. Workers that end with an epoch
            begin anew in the next: only ``persistent_workers=True`` lets real images that a stream
            has shown wait until all of their class were shown.
    """

    def __init__(self, source: TrainingSource, device: torch.device, seed: int) -> None:
        self._source, self._device, self._seed = source, device, seed
        self._begun: tuple[int, torch.Generator] | None = None
        self._epoch = 0

    def __len__(self) -> int:
        """Return the number of images in an epoch."""
        return self._source.images_per_epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        number, count, loader = 0, 1, 0
        if worker is not None:
            number, count, loader = worker.id, worker.num_workers, worker.seed - worker.id
        if self._begun is None or self._begun[0] != loader:
            seed = derive_seed(self._seed, "loader", loader)
            self._begun, self._epoch = (loader, make_generator(seed, self._device)), 0
        images, labels = self._source.epoch(self._begun[1], self._epoch)
        self._epoch += 1
        for i in range(number, len(labels), count):
            yield images[i], labels[i]
