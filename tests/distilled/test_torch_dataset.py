"""Distilled sets as PyTorch datasets."""

from __future__ import annotations

import pytest
import torch
from builders import unbalanced_real_set
from sample_sets import image_set
from torch.utils.data import DataLoader, IterableDataset
from toy_generator import toy_set

from bench.distilled.real_stream_set import RealStreamSet
from bench.support.errors import BenchError


def test_a_stored_set_is_a_list_of_pairs() -> None:
    made = image_set()
    dataset = made.dataset(ipc=2)
    images, labels = next(iter(DataLoader(dataset, batch_size=6)))
    assert torch.equal(images, made.images)
    assert torch.equal(labels, made.labels)


def test_a_stream_is_new_in_every_epoch_and_follows_from_its_seed() -> None:
    made = toy_set()

    def epochs(seed: int) -> list[torch.Tensor]:
        dataset = made.dataset(ipc=2, mode="stream", seed=seed)
        assert isinstance(dataset, IterableDataset)
        return [torch.stack([image for image, _ in dataset]) for _ in range(2)]

    first, second = epochs(0)
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(epochs(0), (first, second), strict=True))
    assert not torch.equal(epochs(1)[0], first)


def test_workers_share_an_epoch_out() -> None:
    dataset = toy_set().dataset(ipc=2)
    loader = DataLoader(dataset, batch_size=None, num_workers=2)
    epochs = [list(loader) for _ in range(2)]
    labels = sorted(int(label) for _, label in epochs[0])
    assert labels == sorted(list(range(len(labels) // 2)) * 2)
    assert not torch.equal(epochs[0][0][0], epochs[1][0][0])


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_draw_other_images_in_every_epoch(persistent: bool) -> None:
    loader = DataLoader(
        toy_set().dataset(ipc=2), batch_size=None, num_workers=1, persistent_workers=persistent
    )
    epochs = [torch.stack([image for image, _ in loader]) for _ in range(3)]
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[1], epochs[2])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_of_real_images_repeats_none_before_all_were_shown(workers: int) -> None:
    real = unbalanced_real_set(6, 6)
    made = RealStreamSet(real.spec, real.images, real.labels, {"id": "x"})
    loader = DataLoader(
        made.dataset(ipc=1), batch_size=None, num_workers=workers, persistent_workers=workers > 0
    )
    seen = {image.numpy().tobytes() for _ in range(6) for image, _ in loader}
    assert len(seen) == len(real)


def test_frozen_images_stay() -> None:
    dataset = toy_set().dataset(ipc=1, mode="frozen")
    first, second = (torch.stack([dataset[i][0] for i in range(3)]) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"mode": "frozn"}, "'frozn' is not one of"), ({"mode": "stream"}, "name an IPC")],
)
def test_what_there_is_not(options: dict[str, str], words: str) -> None:
    with pytest.raises(BenchError, match=words):
        toy_set().dataset(**options)  # type: ignore[arg-type]
