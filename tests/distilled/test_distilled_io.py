"""Distilled sets on disk: what is saved is loaded, and no file can do harm."""

from __future__ import annotations

import copy
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from toy_generator import SPEC, Tied, toy_set

from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import load, load_tensors, save, save_tensors
from bench.errors import BenchError
from bench.seeds import make_generator


def image_set(**rest: Any) -> ImageSet:
    images = torch.randn(6, *SPEC.shape, generator=make_generator(0))
    return ImageSet(SPEC, images, torch.arange(3).repeat_interleave(2), {"id": "x"}, **rest)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "set.safetensors"


def same(first: DistilledSet, second: DistilledSet) -> bool:
    a, b = first.tensors(), second.tensors()
    described = [(s.kind, s.spec, s.config(), s.provenance) for s in (first, second)]
    equal = all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a.keys() & b.keys())
    return described[0] == described[1] and a.keys() == b.keys() and equal


# --- round trips -------------------------------------------------------------------------------

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


# --- files that are not ours -------------------------------------------------------------------


class Bomb:
    """Runs a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.fspath(self.marker),)


@pytest.mark.parametrize("write", [
    lambda bomb, path: path.write_bytes(pickle.dumps(bomb)),
    lambda bomb, path: torch.save({"images": bomb}, path),
])  # fmt: skip
def test_a_pickle_under_our_name_is_refused_unopened(
    path: Path, write: Callable[[Bomb, Path], Any]
) -> None:
    marker = path.parent / "executed"
    write(Bomb(marker), path)
    with pytest.raises(BenchError, match="is not a readable bench file"):
        load(path)
    assert not marker.exists()


def test_the_bomb_is_a_real_one(path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(path)))
    assert path.is_dir()


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write_raw(path: Path, header: bytes | dict[str, Any], data: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def _cut(n: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:n]) and None


def _huge(path: Path) -> None:
    header, data = header_of(path)
    header["images"]["shape"] = [10**6, 10**6, 10**6]
    header["images"]["data_offsets"] = [0, 4 * 10**18]
    write_raw(path, header, data)


def _huge_shape(path: Path) -> None:
    header, data = header_of(path)
    header["images"]["shape"] = [2**62, 2**62]
    write_raw(path, header, data)


def _other_type(path: Path) -> None:
    header, data = header_of(path)
    header["images"]["dtype"] = "F8192"
    write_raw(path, header, data)


def _overlapping(path: Path) -> None:
    header, data = header_of(path)
    assert header["labels"]["data_offsets"] == [0, 48]
    header["images"]["data_offsets"] = [0, 480]
    write_raw(path, header, data)


def _huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**60) + path.read_bytes()[8:])


def _nested(path: Path) -> None:
    _, data = header_of(path)
    write_raw(path, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, data)


def _bench_header(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        save_file({"images": torch.zeros(1)}, path, metadata={"bench": text})

    return write


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "absent": (lambda path: path.unlink(), "does not exist"),
    "folder": (lambda path: path.unlink() or path.mkdir(), "is not a readable bench file"),
    "empty": (_cut(0), "is not a readable bench file"),
    "cut in its size": (_cut(5), "is not a readable bench file"),
    "cut in its header": (_cut(100), "is not a readable bench file"),
    "cut in its pixels": (_cut(-1), "is not a readable bench file"),
    "too long": (lambda p: p.write_bytes(p.read_bytes() + b"x"), "is not a readable bench file"),
    "text": (lambda p: p.write_text("hello, world" * 9), "is not a readable bench file"),
    "huge tensor": (_huge, "is not a readable bench file"),
    "huge shape": (_huge_shape, "is not a readable bench file"),
    "unknown type": (_other_type, "is not a readable bench file"),
    "overlapping tensors": (_overlapping, "is not a readable bench file"),
    "huge header": (_huge_header, "is not a readable bench file"),
    "nested header": (_nested, "is not a readable bench file"),
    "nested bench header": (_bench_header("[" * 200_000), "is not a readable bench file"),
    "bench header is no json": (_bench_header("{"), "is not a readable bench file"),
    "bench header holds NaN": (_bench_header('{"format": NaN}'), "it holds NaN"),
    "bench header is a list": (_bench_header("[]"), "has a header that is not an object"),
    "bench header is empty": (_bench_header("{}"), "has format None; this bench reads 1"),
    "a stranger's": (lambda p: save_file({"x": torch.zeros(1)}, p), "was not written by bench"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_damaged_or_not_ours(path: Path, damage: str) -> None:
    save(image_set(), path)
    spoil, words = DAMAGE[damage]
    spoil(path)
    with pytest.raises(BenchError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


# --- headers that do not fit -------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    tensors, header = load_tensors(path)
    header = copy.deepcopy(header)
    change(header)
    save_tensors(tensors, header, path)


def put(value: Any, *keys: str) -> Callable[[dict[str, Any]], Any]:
    def change(header: dict[str, Any]) -> None:
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return change


def drop(*keys: str) -> Callable[[dict[str, Any]], Any]:
    def change(header: dict[str, Any]) -> None:
        for key in keys[:-1]:
            header = header[key]
        del header[keys[-1]]

    return change


BOTH = [
    (put(2, "format"), "has format 2; this bench reads 1"),
    (put("1", "format"), "has format '1'"),
    (drop("format"), "has format None"),
    (put("latents", "kind"), "holds a set of unknown kind 'latents'"),
    (put(["image"], "kind"), "unknown kind ['image']"),
    (drop("kind"), "unknown kind None"),
    (drop("spec"), "its header has no spec"),
    (put([], "spec"), "its header has no spec"),
    (put("x", "config"), "its header has no config"),
    (drop("provenance"), "its header has no provenance"),
    (drop("spec", "mean"), "mean"),
    (put(1, "spec", "extra"), "extra"),
    (put(0, "spec", "num_classes"), "num_classes is 0, not a positive whole number"),
    (put(2.0, "spec", "num_classes"), "not a positive whole number"),
    (put("3", "spec", "num_classes"), "not a positive whole number"),
    (put(10**30, "spec", "num_classes"), "num_classes is above 100,000"),
    (put(-4, "spec", "height"), "height is -4, not a positive whole number"),
    (put([0.5, 0.5, 0.5], "spec", "mean"), "one number per channel"),
    (put([], "spec", "std"), "one number per channel"),
    (put(0.5, "spec", "std"), "is not a valid"),
    (put([0.0], "spec", "std"), "not above 0"),
    (put([-1.0], "spec", "std"), "not numbers in 0..1"),
    (put(["x"], "spec", "std"), "is not a valid"),
    (put(["x"], "spec", "mean"), "not numbers in 0..1"),
    (put([None], "spec", "std"), "is not a valid"),
    (put([10**400], "spec", "std"), "not numbers in 0..1"),
    (put([1e300], "spec", "mean"), "not numbers in 0..1"),
]
IMAGE = [
    (put("generator", "kind"), "it lacks 'factory'"),
    (put(2, "spec", "num_classes"), "labels must lie in 0..1"),
    (put(5, "spec", "height"), "do not fit tiny"),
    (put(1, "config", "extra"), "extra"),
    (put("fast", "config", "learning_rate"), "learning_rate must be a positive number"),
    (put(-1.0, "config", "learning_rate"), "learning_rate must be a positive number"),
    (put(0, "config", "epochs"), "epochs must be a whole number"),
    (put([1], "config", "images"), "images"),
]
GENERATOR = [
    (put("image", "kind"), "an image set holds images and labels"),
    (put("os:system", "config", "factory"), "unknown generator 'os:system'"),
    (put("test-tied", "config", "factory"), "the weights do not fit generator 'test-tied'"),
    (drop("config", "factory"), "it lacks 'factory'"),
    (drop("config", "arguments"), "it lacks 'arguments'"),
    (put([], "config", "arguments"), "is not a valid generator set"),
    (put({"depth": 3}, "config", "arguments"), "depth"),
    (put("wide", "config", "arguments", "width"), "is not a valid generator set"),
    (put(10**15, "config", "arguments", "width"), "the weights do not fit"),
    (put(-1, "config", "arguments", "width"), "the weights do not fit"),
    (put(4, "spec", "num_classes"), "the weights do not fit"),
]


@pytest.mark.parametrize(
    ("make", "change", "words"),
    [
        *((make, *case) for make in (image_set, toy_set) for case in BOTH),
        *((image_set, *case) for case in IMAGE),
        *((toy_set, *case) for case in GENERATOR),
    ],
)
def test_a_header_that_does_not_fit(
    path: Path, make: Callable[[], DistilledSet], change: Callable[[Any], Any], words: str
) -> None:
    save(make(), path)
    rewrite(path, change)
    with pytest.raises(BenchError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_weights_that_diverged_are_refused_on_reading(path: Path) -> None:
    made = toy_set()
    save_tensors(
        {**made.tensors(), "level": torch.tensor([0.0, float("nan"), 0.0])},
        {"format": 1, "kind": "generator", "spec": SPEC.to_json(), "config": made.config(),
         "provenance": {}},
        path,
    )  # fmt: skip
    with pytest.raises(BenchError, match="weights 'level' hold NaN or infinity"):
        load(path)


@settings(deadline=None, max_examples=100)
@given(
    kind=st.sampled_from([image_set, toy_set]), position=st.integers(0), byte=st.integers(0, 255)
)
def test_no_byte_is_fatal(
    tmp_path_factory: pytest.TempPathFactory,
    kind: Callable[[], DistilledSet],
    position: int,
    byte: int,
) -> None:
    path = tmp_path_factory.mktemp("io") / "set.safetensors"
    save(kind(), path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    try:
        loaded = load(path)
    except BenchError as error:
        message = str(error)
    else:
        message = str(path)
        shown = loaded.preview(1, make_generator(0))
        assert bool(((shown >= 0) & (shown <= 1)).all())
        ipc = None if loaded.kind == "image" else 2  # labels may have become uneven
        source = loaded.source(loaded.modes[0], ipc, make_generator(0))
        assert len(source.epoch(make_generator(0))[0]) == source.images_per_epoch
    assert str(path) in message
