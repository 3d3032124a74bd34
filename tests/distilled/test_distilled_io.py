"""Distilled sets on disk: what is saved is loaded, and a failure leaves what was there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_sets import image_set
from toy_generator import SPEC, Tied, toy_set

from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import load, load_tensors, save, save_tensors
from bench.support.seeds import make_generator


def same(first: DistilledSet, second: DistilledSet) -> bool:
    a, b = first.tensors(), second.tensors()
    described = [(s.kind, s.spec, s.config(), s.provenance) for s in (first, second)]
    equal = all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a.keys() & b.keys())
    return described[0] == described[1] and a.keys() == b.keys() and equal


FRACTIONS = st.floats(0.125, 1.0)


@st.composite
def sets(draw: st.DrawFn) -> ImageSet:
    classes, channels = draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    means, stds = (tuple(draw(FRACTIONS) for _ in range(channels)) for _ in range(2))
    count = draw(st.sampled_from([0, classes]))
    named = st.lists(st.text("aé'\"\\ ", max_size=3), min_size=count, max_size=count)
    names = tuple(draw(named))
    spec = DatasetSpec(
        draw(st.text("aé ", max_size=3)), classes, channels, height, width, means, stds,
        draw(st.booleans()), names, draw(st.text('n"\n', max_size=3)),
    )  # fmt: skip
    labels = torch.tensor(
        draw(st.lists(st.integers(0, classes - 1), max_size=5)), dtype=torch.int64
    )
    shape, generator = (len(labels), *spec.shape), make_generator(draw(st.integers(0, 99)))
    images = torch.randn(shape, generator=generator)
    if draw(st.booleans()):
        images = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    rate = draw(st.none() | st.floats(1e-9, 1e9))
    return ImageSet(
        spec, images, labels, {"n": draw(st.integers())}, rate, draw(st.none() | st.just(9))
    )


@settings(deadline=None, max_examples=50)
@given(sets())
def test_image_sets_survive(tmp_path_factory: pytest.TempPathFactory, distilled: ImageSet) -> None:
    path = tmp_path_factory.mktemp("io") / "deep" / "set.safetensors"
    save(distilled, path)
    assert same(load(path), distilled)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_generator_sets_survive(path: Path) -> None:
    first = toy_set(noise=0.3, width=5)
    save(first, path)
    again = load(path)
    assert same(again, first)
    assert isinstance(again, GeneratorSet)
    assert again.storage_bytes == first.storage_bytes


def test_equal_sets_are_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(image_set(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_that_are_one_are_saved_twice(path: Path) -> None:
    first = GeneratorSet(SPEC, "test-tied", Tied(SPEC), {})
    save(first, path)
    assert same(load(path), first)


def test_tensors_that_share_memory_or_are_views_are_saved(path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4).requires_grad_()
    parts = {"whole": whole, "turned": whole.T, "part": whole[1], "wide": whole[:, :1].expand(3, 2)}
    save_tensors(parts, {}, path)
    tensors, header = load_tensors(path)
    assert header == {}
    assert all(torch.equal(tensors[k], v) for k, v in parts.items())


def test_loaded_tensors_are_not_the_file(path: Path) -> None:
    save(image_set(), path)
    loaded = load(path)
    assert isinstance(loaded, ImageSet)
    loaded.images.zero_()
    assert same(load(path), image_set())


def test_saving_over_replaces_and_a_failure_does_not(path: Path) -> None:
    save(toy_set(), path)
    save(image_set(), path)
    bad = image_set()
    bad.provenance = {"loss": float("nan")}
    with pytest.raises(ValueError, match="JSON"):
        save(bad, path)
    bad.provenance = {"what": object()}
    with pytest.raises(TypeError, match="JSON"):
        save(bad, path)
    assert same(load(path), image_set())
    assert len(list(path.parent.iterdir())) == 1
