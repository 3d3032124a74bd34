"""Real-stream sets: real images without replacement, the same after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from builders import unbalanced_real_set

import bench
from bench.distilled.base import TrainingSource
from bench.distilled.io import save
from bench.distilled.real_stream_set import RealStreamSet
from bench.evaluation.protocols import get_protocol
from bench.support.errors import BenchError
from bench.support.seeds import make_generator

REAL = unbalanced_real_set(5, 12, 7)
COUNTS = (5, 12, 7)


def real_stream() -> RealStreamSet:
    return RealStreamSet(REAL.spec, REAL.images, REAL.labels, {"id": "x"})


def stream(ipc: int) -> TrainingSource:
    return real_stream().source("stream", ipc, make_generator(0))


def numbers(images: torch.Tensor) -> list[int]:
    """Return which real images were shown."""
    every = REAL.gather(torch.arange(len(REAL))).flatten(1)
    return [int((every == one.flatten()).all(1).nonzero()) for one in images]


def shown(source: TrainingSource, seed: int, epochs: int) -> list[list[int]]:
    """Return the images that each epoch shows to one network."""
    draws = make_generator(seed)
    return [numbers(source.epoch(draws, number)[0]) for number in range(epochs)]


def test_an_epoch_shows_ipc_real_images_of_each_class() -> None:
    images, labels = stream(3).epoch(make_generator(1))
    assert images.dtype == torch.float32
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert torch.equal(REAL.labels[torch.tensor(numbers(images))], labels)


@pytest.mark.parametrize("ipc", [1, 3, 8])
def test_no_image_comes_again_before_its_class_is_exhausted(ipc: int) -> None:
    epochs = shown(stream(ipc), seed=1, epochs=30)
    for label, count in enumerate(COUNTS):
        order = [i for one in epochs for i in one[label * ipc : (label + 1) * ipc]]
        turns = [order[k : k + count] for k in range(0, len(order) - count + 1, count)]
        assert len(turns) >= 2
        assert all(len(set(turn)) == count for turn in turns)
        assert turns[0] != turns[1], "every turn has an order of its own"


def test_an_epoch_follows_from_the_networks_seed_and_its_number() -> None:
    """A network that is resumed has another source and other generators, which stand elsewhere."""
    first = shown(stream(3), seed=1, epochs=6)
    draws = make_generator(1)
    draws.set_state(make_generator(1).get_state())
    for number in (5, 2, 0):
        assert numbers(stream(3).epoch(draws, number)[0]) == first[number]
    assert shown(stream(3), seed=2, epochs=6) != first


def test_networks_that_take_turns_do_not_disturb_each_other() -> None:
    source, alone = stream(4), [shown(stream(4), seed, 5) for seed in (1, 2)]
    draws = [make_generator(1), make_generator(2)]
    turns = [[numbers(source.epoch(d, number)[0]) for d in draws] for number in range(5)]
    assert [[turn[k] for turn in turns] for k in (0, 1)] == alone


def test_drawing_moves_no_generator() -> None:
    generator = make_generator(1)
    stream(3).epoch(generator, 2)
    assert torch.equal(generator.get_state(), make_generator(1).get_state())


def test_the_budget() -> None:
    source = stream(3)
    assert source.images_per_epoch == 9
    assert source.storage_bytes == len(REAL) * 64
    assert [source.distinct_images(n) for n in (0, 1, 2, 3, 100)] == [0, 9, 17, 21, 24]
    assert source.distinct_images(3) == len({i for one in shown(source, 1, 3) for i in one})


def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    made = real_stream()
    save(made, tmp_path / "set.safetensors")
    back = bench.load(tmp_path / "set.safetensors")
    assert isinstance(back, RealStreamSet)
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.preview(2, make_generator(0)), made.preview(2, make_generator(0)))


def test_it_is_a_dataset_that_draws() -> None:
    dataset = real_stream().dataset(ipc=2)
    labels = [int(label) for _, label in dataset]
    assert labels == [0, 0, 1, 1, 2, 2]
    with pytest.raises(BenchError, match="a real-stream set draws images: name an IPC"):
        real_stream().dataset()
    with pytest.raises(BenchError, match="mode 'frozen' is not one of stream"):
        real_stream().dataset(ipc=1, mode="frozen")


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (REAL.images.float(), REAL.labels, "real images must be uint8"),
        (REAL.images, REAL.labels.clamp(max=1), "class 2 has no real image"),
        (REAL.images[1:], REAL.labels, "do not fit tiny"),
    ],
)
def test_what_cannot_be_a_real_stream(
    images: torch.Tensor, labels: torch.Tensor, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        RealStreamSet(REAL.spec, images, labels, {})


def test_an_evaluation_has_the_budget_of_a_stream() -> None:
    found = bench.evaluate(
        real_stream(), REAL, ipc=1, arch="convnet1(width=4)", protocol="smoke", seeds=2
    )
    epochs = get_protocol("smoke").epochs
    assert found.budget.training_steps == epochs
    assert found.budget.distinct_images == len(REAL)
    assert found.budget.stored_bytes == len(REAL) * 64
    assert found.result.labels == "hard"
