"""Generator sets: a stream of fresh images, or a frozen draw of them."""

from __future__ import annotations

import math

import pytest
import torch
from toy_generator import SPEC, ToyGenerator, toy_set

from bench.datasets.real_set import denormalise, normalise
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import FixedSource, ImageSet
from bench.support.errors import UnknownNameError
from bench.support.seeds import distillation_seed, make_generator

WEIGHTS = (3 + 2) * 4 + 8  # level and idle as float32, count as int64


def test_the_network_is_made_ready() -> None:
    network = ToyGenerator(SPEC).train()
    made = GeneratorSet(SPEC, "test-toy", network, {})
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert made.device == torch.device("cpu")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_diverged_are_refused(bad: float) -> None:
    network = ToyGenerator(SPEC)
    with torch.no_grad():
        network.level[1] = bad
    with pytest.raises(ValueError, match="generator weights 'level' hold NaN or infinity"):
        GeneratorSet(SPEC, "test-toy", network, {})


def test_bytes_are_those_of_all_weights_and_buffers() -> None:
    assert toy_set().storage_bytes == WEIGHTS
    assert toy_set(width=100).storage_bytes == WEIGHTS + 98 * 4


def test_labels_are_balanced_and_in_order() -> None:
    labels = toy_set().balanced_labels(2)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert labels.dtype == torch.int64


def test_a_draw_is_normalised() -> None:
    made = toy_set(noise=0.0)
    images = made.draw(made.balanced_labels(1), make_generator(0))
    levels = normalise((torch.tensor([-0.5, 0.0, 0.5]).view(3, 1, 1, 1) + 1) / 2, SPEC)
    assert torch.allclose(images, levels.expand(3, *SPEC.shape))
    assert not images.requires_grad


def test_large_draws_go_in_chunks() -> None:
    made = toy_set()
    labels = made.balanced_labels(25)
    images = made.draw(labels, make_generator(0))
    assert images.shape == (75, *SPEC.shape)
    assert made.network.drawn == [32, 32, 11]
    assert torch.equal(images, made.draw(labels, make_generator(0)))


# --- stream ------------------------------------------------------------------------------------


def test_a_stream_draws_fresh_images_every_epoch() -> None:
    source, generator = toy_set().source("stream", 2, make_generator(0)), make_generator(1)
    first, labels = source.epoch(generator)
    second, _ = source.epoch(generator)
    assert first.dtype == torch.float32
    assert first.shape == (6, *SPEC.shape)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert not torch.equal(first, second)
    assert torch.equal(source.epoch(make_generator(1))[0], first)


def test_what_a_stream_costs() -> None:
    source = toy_set().source("stream", 2, make_generator(0))
    assert source.storage_bytes == WEIGHTS
    assert source.images_per_epoch == 6
    assert [source.distinct_images(n) for n in (0, 1, 1000)] == [0, 6, 6000]


def test_making_a_stream_draws_nothing() -> None:
    generator = make_generator(0)
    toy_set().source("stream", 2, generator)
    assert torch.equal(generator.get_state(), make_generator(0).get_state())


# --- frozen ------------------------------------------------------------------------------------


def test_frozen_is_an_image_set_of_that_ipc() -> None:
    source = toy_set().source("frozen", 2, make_generator(0))
    assert isinstance(source, FixedSource)
    assert source.storage_bytes == 6 * 20  # one byte a value: the generator is gone
    assert [source.distinct_images(n) for n in (1, 1000)] == [6, 6]
    first, second = source.epoch(make_generator(1)), source.epoch(make_generator(2))
    assert torch.equal(first[0], second[0])
    assert first[1].tolist() == [0, 0, 1, 1, 2, 2]


def test_frozen_pixels_are_the_draw_rounded_to_bytes() -> None:
    made = toy_set()
    frozen = made.freeze(2, make_generator(0))
    assert isinstance(frozen, ImageSet)
    assert frozen.images.dtype == torch.uint8
    drawn = denormalise(made.draw(frozen.labels, make_generator(0)), SPEC) * 255
    assert float((frozen.images - drawn).abs().max()) <= 0.5 + 1e-3
    assert torch.equal(frozen.images, (made.freeze(2, make_generator(0))).images)
    assert not torch.equal(frozen.images, made.freeze(2, make_generator(1)).images)


@pytest.mark.parametrize(("level", "pixel"), [(-1.0, 0), (1.0, 255), (-0.2, 102)])
def test_the_range_maps_to_bytes(level: float, pixel: int) -> None:
    made = toy_set(noise=0.0)
    with torch.no_grad():
        made.network.level.fill_(level)
    assert set(made.freeze(1, make_generator(0)).images.flatten().tolist()) == {pixel}


def test_a_frozen_set_says_where_it_comes_from() -> None:
    made = toy_set()
    frozen = made.freeze(1, make_generator(0))
    assert frozen.provenance == made.provenance
    assert frozen.provenance is not made.provenance


# --- both --------------------------------------------------------------------------------------


def test_the_modes() -> None:
    assert GeneratorSet.modes == ("stream", "frozen")
    with pytest.raises(ValueError, match="mode 'stored' is not one of stream, frozen"):
        toy_set().source("stored", 1, make_generator(0))


@pytest.mark.parametrize("mode", GeneratorSet.modes)
def test_an_ipc_must_be_named(mode: str) -> None:
    with pytest.raises(ValueError, match="name an IPC"):
        toy_set().source(mode, None, make_generator(0))


def test_previews_are_pixels_class_by_class() -> None:
    shown = toy_set(noise=3.0).preview(4, make_generator(0))
    assert shown.shape == (3, 4, *SPEC.shape)
    assert (float(shown.min()), float(shown.max())) == (0.0, 1.0)
    plain = toy_set(noise=0.0).preview(2, make_generator(0))
    assert torch.allclose(plain[:, 1, 0, 0, 0], torch.tensor([0.25, 0.5, 0.75]))


def test_parts_rebuild_it() -> None:
    first = toy_set(noise=0.3, width=5)
    again = GeneratorSet.from_parts(SPEC, first.tensors(), first.config(), {"a": 1})
    labels = first.balanced_labels(2)
    images = [s.draw(labels, make_generator(0)) for s in (first, again)]
    assert torch.equal(images[0], images[1])
    assert again.config() == {"factory": "test-toy", "arguments": {"noise": 0.3, "width": 5}}
    assert not again.network.training


def test_rebuilding_leaves_global_state_alone() -> None:
    first = toy_set()
    before = torch.get_rng_state()
    GeneratorSet.from_parts(SPEC, first.tensors(), first.config(), {})
    assert torch.equal(torch.get_rng_state(), before)


def test_parts_that_do_not_fit() -> None:
    first = toy_set()
    wider = {"factory": "test-toy", "arguments": {"noise": 0.1, "width": 3}}
    with pytest.raises(ValueError, match="the weights do not fit generator 'test-toy'"):
        GeneratorSet.from_parts(SPEC, first.tensors(), wider, {})
    with pytest.raises(ValueError, match="the weights do not fit"):
        GeneratorSet.from_parts(SPEC, {}, first.config(), {})
    with pytest.raises(UnknownNameError, match="unknown generator 'toy'"):
        GeneratorSet.from_parts(SPEC, {}, {"factory": "toy", "arguments": {}}, {})


CELL = {"method": "gan", "dataset": "tiny", "ipc": None, "arch": None, "seed": 3}


@pytest.mark.parametrize(
    ("provenance", "seed"),
    [
        ({"random_seed": 7}, 7),
        ({"random_seed": 7, "cell": CELL}, 7),
        ({"cell": CELL}, distillation_seed("gan", "tiny", None, None, 3)),
        ({"cell": {**CELL, "arch": "mlp"}}, distillation_seed("gan", "tiny", None, "mlp", 3)),
        ({}, 0),
        ({"random_seed": "7"}, 0),
        ({"random_seed": -1}, 0),
        ({"random_seed": 2**63}, 0),
        ({"cell": "gan"}, 0),
        ({"cell": {**CELL, "method": 1}}, 0),
        ({"cell": {**CELL, "ipc": "one"}}, 0),
        ({"cell": {**CELL, "arch": []}}, 0),
    ],
)
def test_the_seed_of_the_distillation(provenance: dict[str, object], seed: int) -> None:
    """From what a file says, which can be anything."""
    assert GeneratorSet(SPEC, "test-toy", ToyGenerator(SPEC), provenance).random_seed == seed
