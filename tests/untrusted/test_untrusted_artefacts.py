"""Distilled sets that someone sent: refused in a line, or what they say they are."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_files import (
    JSON_TEXTS,
    JSON_VALUES,
    PICKLES,
    in_small_memory,
    sparse,
    split_safetensors,
    write_safetensors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_generator import ImageGenerator
from bench.distilled.image_set import ImageSet
from bench.distilled.io import load, load_tensors, save, save_tensors
from bench.distilled.real_stream_set import RealStreamSet
from bench.registry.registry import GENERATORS
from bench.support.errors import BenchError
from bench.support.seeds import make_generator

SPEC = DatasetSpec("tiny", 2, 1, 8, 8, (0.5,), (0.25,), flip=False)
LABELS = torch.tensor([0, 0, 1, 1])


def image_set() -> ImageSet:
    images = torch.rand(4, *SPEC.shape, generator=make_generator(0))
    return ImageSet(SPEC, images, LABELS, {"id": "x"}, learning_rate=0.01, epochs=7)


def factored_set() -> FactoredSet:
    images = torch.rand(4, *SPEC.shape, generator=make_generator(0))
    return FactoredSet(SPEC, images, LABELS, 2, {"id": "x"})


def generator_set() -> GeneratorSet:
    network = GENERATORS.get("conditional-gan")(SPEC, width=2, noise_dim=4)
    return GeneratorSet(SPEC, "conditional-gan", network, {"id": "x"})


def real_stream_set() -> RealStreamSet:
    images = torch.randint(0, 256, (4, *SPEC.shape), generator=make_generator(0))
    return RealStreamSet(SPEC, images.to(torch.uint8), LABELS, {"id": "x"})


SETS: dict[str, Callable[[], DistilledSet]] = {
    "image": image_set,
    "factored": factored_set,
    "generator": generator_set,
    "real-stream": real_stream_set,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "artefact.safetensors"


def refused(path: Path) -> str:
    """Return the message that a file is refused with: one line that names it."""
    with pytest.raises(BenchError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the JSON header of a whole file."""
    tensors, header = load_tensors(path)
    header = copy.deepcopy(header)
    change(header)
    save_tensors(tensors, header, path)


@pytest.mark.parametrize("write", PICKLES)
def test_a_pickle_is_not_opened(path: Path, write: Callable[[Path, Path], None]) -> None:
    marker = path.parent / "executed"
    write(path, marker)
    assert "is not a readable bench file" in refused(path)
    assert not marker.exists()


def test_a_pipe_a_device_and_a_socket_are_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    assert "it is a pipe or a device" in refused(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "it is a pipe or a device" in refused(path)


# --- the safetensors header --------------------------------------------------------------------


def _tensor(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda header: header["images"].update(changes)


RAW: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a petabyte by its shape": _tensor(shape=[2**20, 2**20, 2**10]),
    "a petabyte by shape and offsets": _tensor(shape=[2**48], data_offsets=[32, 32 + 2**50]),
    "a shape whose product overflows": _tensor(shape=[2**33, 2**33]),
    "a size of two to the sixty-three, and none": _tensor(shape=[2**63, 0], data_offsets=[32, 32]),
    "a size below none": _tensor(shape=[-4, 1, 8, 8]),
    "no size": _tensor(shape=[]),
    "a size that is a text": _tensor(shape=["4"]),
    "nothing of it": _tensor(shape=[0, 1, 8, 8], data_offsets=[32, 32]),
    "nothing of it, by huge sizes": _tensor(shape=[0, 2**62, 2**62], data_offsets=[32, 32]),
    "offsets beyond the file": _tensor(data_offsets=[32 + 10**6, 1056 + 10**6]),
    "offsets beyond sixty-four bits": _tensor(data_offsets=[32, 2**70]),
    "offsets that go back": _tensor(data_offsets=[1056, 32]),
    "offsets that overlap": _tensor(data_offsets=[0, 1024]),
    "another type of the same size": _tensor(dtype="I32"),
    "a type of complex numbers": _tensor(dtype="C64", shape=[2, 1, 8, 8]),
    "a type of eight bits": _tensor(dtype="F8_E4M3", shape=[16, 1, 8, 8]),
    "a type of four bits": _tensor(dtype="F4", shape=[32, 1, 8, 8]),
    "a type of six bits": _tensor(dtype="F6_E2M3"),
    "a type that is none": _tensor(dtype="PICKLE"),
    "labels of another type": lambda header: header["labels"].update(dtype="F64"),
    "labels that are boolean": lambda header: header["labels"].update(dtype="BOOL", shape=[32]),
    "a tensor too many": lambda header: header.update(
        more={"dtype": "U8", "shape": [0], "data_offsets": [1056, 1056]}
    ),
    "a tensor of many dimensions": _tensor(shape=[4, 1, 8, 8] + [1] * 10_000),
    "metadata that is no table": lambda header: header.update(__metadata__=[1]),
    "metadata that is no text": lambda header: header.update(__metadata__={"bench": {}}),
    "no metadata": lambda header: header.pop("__metadata__"),
}


@pytest.mark.parametrize("change", RAW)
def test_a_header_that_lies(path: Path, change: str) -> None:
    save(image_set(), path)
    header, data = split_safetensors(path)
    assert header["labels"]["data_offsets"] == [0, 32]
    RAW[change](header)
    write_safetensors(path, header, data)
    refused(path)


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_a_header_that_is_no_header(path: Path, text: str) -> None:
    save(image_set(), path)
    _, data = split_safetensors(path)
    write_safetensors(path, JSON_TEXTS[text], data)
    refused(path)


@pytest.mark.parametrize("length", [0, 2**24 + 1, 10**15, 2**63, 2**64 - 1])
def test_a_length_that_lies(path: Path, length: int) -> None:
    save(image_set(), path)
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    refused(path)


@pytest.mark.parametrize("text", JSON_VALUES)
@pytest.mark.parametrize("name", ["spec", "config", "provenance", "extra"])
def test_json_that_bench_never_writes(path: Path, name: str, text: str) -> None:
    save(image_set(), path)
    header, data = split_safetensors(path)
    ours = json.loads(header["__metadata__"]["bench"])
    ours[name] = "HERE"
    raw = json.dumps(ours).replace('"HERE"', JSON_VALUES[text])
    header["__metadata__"]["bench"] = raw
    write_safetensors(path, header, data)
    refused(path)


def test_a_key_that_comes_twice(path: Path) -> None:
    save(image_set(), path)
    header, data = split_safetensors(path)
    raw = header["__metadata__"]["bench"]
    header["__metadata__"]["bench"] = '{"kind": "generator", ' + raw[1:]
    write_safetensors(path, header, data)
    assert "it holds 'kind' twice" in refused(path)


# --- what the header asks bench to build -------------------------------------------------------


def _put(value: Any, *keys: str) -> Callable[[dict[str, Any]], Any]:
    def change(header: dict[str, Any]) -> None:
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return change


ASKED: dict[str, list[tuple[Callable[[dict[str, Any]], Any], str]]] = {
    "image": [
        (_put("NaN", "config", "learning_rate"), "learning_rate must be a positive number"),
        (_put(True, "config", "learning_rate"), "learning_rate must be a positive number"),
        (_put(10**400, "config", "learning_rate"), "learning_rate must be a positive number"),
        (_put(1e300, "config", "learning_rate"), "learning_rate must be a positive number"),
        (_put(10**18, "config", "epochs"), "epochs must be a whole number from 1 to 100,000"),
        (_put(True, "config", "epochs"), "epochs must be a whole number"),
        (_put([1] * 10**5, "config", "epochs"), "epochs must be a whole number"),
        (_put({}, "config", "zca"), "zca"),
    ],
    "factored": [
        (_put(10**6, "config", "factor"), "factor must be a whole number in 1..8"),
        (_put(0, "config", "factor"), "factor must be a whole number"),
        (_put(2.0, "config", "factor"), "factor must be a whole number"),
        (_put(None, "config", "factor"), "factor must be a whole number"),
    ],
    "generator": [
        (_put(10**9, "config", "arguments", "width"), "the weights do not fit"),
        (_put(10**5, "config", "arguments", "width"), "the weights do not fit"),
        (_put(10**30, "config", "arguments", "width"), "is not a valid generator set"),
        (_put(10**9, "config", "arguments", "noise_dim"), "the weights do not fit"),
        (_put(0, "config", "arguments", "width"), "the weights do not fit"),
        (_put(-1, "config", "arguments", "width"), "the weights do not fit"),
        (_put(2.5, "config", "arguments", "width"), "is not a valid generator set"),
        (_put({"a": 1}, "config", "arguments", "width"), "is not a valid generator set"),
        (_put({"spec": 1}, "config", "arguments"), "is not a valid generator set"),
        (_put([1], "config", "arguments"), "the arguments"),
        (_put("os:system", "config", "factory"), "unknown generator 'os:system'"),
        (_put("../../evil", "config", "factory"), "unknown generator '../../evil'"),
        (_put(["x"], "config", "factory"), "unknown generator"),
        (_put(64, "spec", "height"), "the weights do not fit"),
    ],
}
EVERY: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (_put(10**6, "spec", "num_classes"), "<= 100000 - at `$.num_classes`"),
    (_put(10**400, "spec", "num_classes"), "<= 100000 - at `$.num_classes`"),
    (_put(True, "spec", "num_classes"), "got `bool` - at `$.num_classes`"),
    (_put(10**6, "spec", "height"), "images hold more than 4,194,304 values"),
    (_put(10**9, "spec", "channels"), "channels is 1000000000, not 1 or 3"),
    (_put([0.5] * 10**5, "spec", "mean"), "mean does not have one number per channel"),
    (_put([1e-400], "spec", "std"), "> 0.0 - at `$.std[0]`"),
    (_put("yes", "spec", "flip"), "got `str` - at `$.flip`"),
    (_put(["a"] * 10**5, "spec", "class_names"), "not one text for each of 2 classes"),
    (_put([1, 2], "spec", "class_names"), "got `int` - at `$.class_names[0]`"),
    (_put(["../../x"], "spec", "name"), "got `array` - at `$.name`"),
    (_put("latents", "kind"), "unknown kind"),
    (_put({"format": 1}, "format"), "has format"),
]
BUILT = [
    *((kind, *case) for kind in SETS for case in EVERY),
    *((kind, *case) for kind, cases in ASKED.items() for case in cases),
]


@pytest.mark.parametrize(("kind", "change", "words"), BUILT)
def test_a_header_that_asks_for_too_much(
    path: Path, kind: str, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    save(SETS[kind](), path)
    rewrite(path, change)
    message = refused(path)
    assert words in message
    assert len(message) < 1000


class Deep(ImageGenerator):
    """A network of as many layers as its arguments say."""

    def __init__(self, spec: DatasetSpec, depth: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(depth)))


class Careless(ImageGenerator):
    """A network whose constructor stumbles over arguments in its own way."""

    def __init__(self, spec: DatasetSpec, index: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros([1, 2, 3][index]))


@pytest.fixture
def _networks() -> Iterator[None]:
    GENERATORS.register("test-deep", Deep, "test")
    GENERATORS.register("test-careless", Careless, "test")
    yield
    GENERATORS.unregister("test-deep")
    GENERATORS.unregister("test-careless")


@pytest.mark.parametrize(
    ("factory", "arguments", "words"),
    [
        ("test-deep", {"depth": 10**9}, "ask for more than"),
        ("test-careless", {"index": 77}, "IndexError"),
    ],
)
@pytest.mark.usefixtures("_networks")
def test_a_generator_of_a_plugin_is_not_built_without_end(
    path: Path, factory: str, arguments: dict[str, Any], words: str
) -> None:
    config = {"factory": factory, "arguments": arguments}
    header = {"format": 1, "kind": "generator", "spec": SPEC.to_json(), "config": config,
              "provenance": {}}  # fmt: skip
    save_tensors({"weight": torch.zeros(1)}, header, path)
    assert words in refused(path)


def test_a_generator_without_weights_is_none(path: Path) -> None:
    save(generator_set(), path)
    _, header = load_tensors(path)
    save_tensors({}, header, path)
    assert "there are none" in refused(path)


def test_a_set_of_another_dataset_is_told() -> None:
    other = DatasetSpec("other", 2, 1, 8, 9, (0.5,), (0.25,), flip=False)
    image_set().check_made_for(DatasetSpec("copy", 2, 1, 8, 8, (0.5,), (0.25,), False, note="x"))
    flipped = DatasetSpec("flipped", 2, 1, 8, 8, (0.5,), (0.25,), flip=True)
    with pytest.raises(ValueError, match="not made from flipped: its flip is False, not True"):
        image_set().check_made_for(flipped)
    with pytest.raises(ValueError, match="not made from other: its width is 8, not 9"):
        image_set().check_made_for(other)


# --- memory ------------------------------------------------------------------------------------


def _hungry_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield files that would take gigabytes, with a word of what they are refused with."""
    for kind, changes in {
        "generator": [_put(10**4, "config", "arguments", "width"),
                      _put(10**5, "config", "arguments", "width"),
                      _put(10**9, "config", "arguments", "noise_dim")],
        "factored": [_put(10**6, "config", "factor")],
        "image": [_put(10**6, "spec", "num_classes")],
    }.items():  # fmt: skip
        for i, change in enumerate(changes):
            path = folder / f"{kind}-{i}.safetensors"
            save(SETS[kind](), path)
            rewrite(path, change)
            yield path, "is not a valid"
    header = {"format": 1, "kind": "image", "spec": SPEC.to_json(), "config": {}, "provenance": {}}
    table: dict[str, Any] = {"__metadata__": {"bench": json.dumps(header)}}
    for name, size in (("hollow", 2**42), ("hollow-small", 2**33)):
        path = folder / f"{name}.safetensors"
        images = {"dtype": "U8", "shape": [size // 64, 1, 8, 8], "data_offsets": [0, size]}
        write_safetensors(path, {**table, "images": images}, b"")
        sparse(path, path.stat().st_size + size)
        yield path, "is not a readable bench file"
    path = folder / "lists.safetensors"
    lists = {"__metadata__": {"bench": "[" + "[]," * 5_000_000 + "[]]"}}
    write_safetensors(path, lists, b"")
    yield path, "it holds more than 1,048,576 values"


def test_no_file_takes_more_than_a_little_memory(tmp_path: Path) -> None:
    files = list(_hungry_files(tmp_path))
    answers = in_small_memory("bench.distilled.io:load", [path for path, _ in files])
    for (path, words), answer in zip(files, answers, strict=True):
        assert answer.startswith("BenchError: "), (path.name, answer)
        assert words in answer


# --- any damage --------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    kind=st.sampled_from(list(SETS)),
    flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=4),
    kept=st.none() | st.integers(0),
)
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    flips: list[tuple[int, int]],
    kept: int | None,
) -> None:
    path = tmp_path_factory.mktemp("damage") / "artefact.safetensors"
    save(SETS[kind](), path)
    raw = bytearray(path.read_bytes())
    before = bytes(raw)
    for position, mask in flips:
        raw[position % len(raw)] ^= mask
    path.write_bytes(raw if kept is None else raw[: kept % len(raw)])
    try:
        loaded = load(path)
    except BenchError:
        assert path.read_bytes() != before
    else:
        shown = loaded.preview(1, make_generator(0), 2)
        assert shown.shape[0] <= 2
        assert bool(((shown >= 0) & (shown <= 1)).all())
